using System.Text;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores;

/// <summary>What a file holds once it is decrypted and decompressed.</summary>
internal enum BareFileKind
{
    /// <summary>pg_dump -Fc.</summary>
    Custom,

    /// <summary>pg_dump -Ft.</summary>
    Tar,

    /// <summary>pg_dump -Fd: a directory.</summary>
    Directory,

    /// <summary>A script in SQL, for psql.</summary>
    Script,
}

/// <summary>
/// A dump or script without a manifest, at any path. What it is, is told by its first bytes and never by its name:
/// age or gpg around zstd or gzip around an archive or SQL, each layer optional.
/// </summary>
internal sealed class BareFile : IAsyncDisposable
{
    private const int ProbeBytes = 512;

    private BareFile(string path, BareFileKind kind, int dumpMajor)
    {
        Path = path;
        Kind = kind;
        DumpMajor = dumpMajor;
    }

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    public BareFileKind Kind { get; }

    public bool IsScript => Kind == BareFileKind.Script;

    /// <summary>How it is encrypted as a whole.</summary>
    public EncryptionMethod Encryption { get; private init; } = EncryptionMethod.None;

    /// <summary>How it is compressed as a whole: what compresses the rows in an archive is pg_restore's business.</summary>
    public CompressionMethod Compression { get; private init; } = CompressionMethod.None;

    /// <summary>The plain bytes; null for a directory. Can be read once.</summary>
    public Stream? Plain { get; private init; }

    /// <summary>True when pg_restore can open the file itself, and so use several processes.</summary>
    public bool IsPlainOnDisk => Encryption == EncryptionMethod.None && Compression == CompressionMethod.None;

    /// <summary>True for a tar archive, whose last member is a script for people: pg_restore does not read it.</summary>
    public bool HasUnreadTail => Kind == BareFileKind.Tar;

    /// <summary>The oldest pg_restore that reads the archive.</summary>
    public int DumpMajor { get; }

    /// <exception cref="BackupException">The file is missing, can't be decrypted, or is no dump.</exception>
    public static async Task<BareFile> OpenAsync(
        string path,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        CancellationToken cancel)
    {
        var full = System.IO.Path.GetFullPath(path);
        if (System.IO.Directory.Exists(full))
        {
            return File.Exists(System.IO.Path.Combine(full, "toc.dat"))
                ? new BareFile(full, BareFileKind.Directory, dumpMajor: 0)
                : throw new BackupException(
                    ErrorKind.Usage,
                    $"{full} is a directory and no pg_dump archive (toc.dat is missing)",
                    "name a file, or use --backup ID for a set");
        }

        Stream stream = OpenRaw(full);
        try
        {
            var (encryption, encrypted) = await PeekStage.ReadAsync(stream, EncryptionFormat.ProbeBytes, EncryptionFormat.Detect, cancel);
            stream = encryption == EncryptionMethod.None ? encrypted : providers(encryption).Decrypt(encrypted, full);
            var (compression, compressed) = await PeekStage.ReadAsync(stream, 4, Pipelines.Compression.Detect, cancel);
            stream = Pipelines.Compression.Decompress(compression, compressed, full);
            var (kind, plain) = await PeekStage.ReadAsync(stream, ProbeBytes, b => (Kind: DetectKind(b, full), Major: MajorOf(b)), cancel);
            return new BareFile(full, kind.Kind, kind.Major) { Encryption = encryption, Compression = compression, Plain = plain };
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <summary>Reads all of the file once, to know that it can be read before something is dropped for it.</summary>
    public async Task VerifyAsync(
        PgTools tools,
        ProcessLauncher launcher,
        TransferMeter meter,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        CancellationToken cancel)
    {
        if (Kind == BareFileKind.Directory)
        {
            var command = new ChildCommand(tools.Path("pg_restore"), ["--list", Path]) { Environment = EnglishMessages.Variables };
            _ = await launcher.ReadOutputAsync(command, cancel);
            return;
        }

        await using var second = await OpenAsync(Path, providers, cancel);
        await (IsScript
            ? second.CheckScriptAsync(meter, cancel)
            : PgArchive.ListAsync(tools, launcher, second.Plain!, static _ => { }, meter, cancel));
    }

    /// <summary>Reads all of a script, and refuses what a restore would refuse of it. Its bytes are gone then.</summary>
    public Task CheckScriptAsync(TransferMeter meter, CancellationToken cancel) =>
        StreamCopy.DrainAsync(new ScriptEndStage(Plain!, Path), meter, cancel);

    /// <summary>What pg_restore says of an archive, of all of it or of a part. Reads the file anew, and no further than it has to.</summary>
    /// <param name="loader">Starts pg_restore.</param>
    /// <param name="selection">Arguments that choose a part of it.</param>
    /// <param name="providers">Makes the provider of a method.</param>
    /// <param name="cancel">Cancels.</param>
    public async Task<ArchiveList> ListAsync(
        ArchiveLoader loader, IReadOnlyList<string> selection, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        if (Kind == BareFileKind.Directory)
        {
            return ArchiveList.Parse((await loader.ReadListOfFileAsync(Path, selection, cancel)).Span);
        }

        await using var again = await OpenAsync(Path, providers, cancel);
        return ArchiveList.Parse((await loader.ReadListAsync(again.Plain!, selection, cancel)).Span);
    }

    /// <summary>What it takes on its disk.</summary>
    public long StoredBytes() => Kind == BareFileKind.Directory
        ? new DirectoryInfo(Path).EnumerateFiles().Sum(static f => f.Length)
        : new FileInfo(Path).Length;

    public ValueTask DisposeAsync() => Plain?.DisposeAsync() ?? ValueTask.CompletedTask;

    private static FileStream OpenRaw(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Storage,
                $"can't read {path}: {e.Message}",
                "check the path; a relative one starts at the working directory",
                e);
        }
    }

    private static BareFileKind DetectKind(ReadOnlySpan<byte> first, string path)
    {
        if (first.StartsWith("PGDMP"u8))
        {
            return BareFileKind.Custom;
        }

        if (first.Length > 262 && first[257..262].SequenceEqual("ustar"u8) && first.StartsWith("toc.dat"u8))
        {
            return BareFileKind.Tar;
        }

        return first.Length > 0 && !first.Contains((byte)0) && IsText(first)
            ? BareFileKind.Script
            : throw new BackupException(
                ErrorKind.Verification,
                $"{path} is neither a pg_dump archive nor an SQL script{(first.Length == 0 ? ": it is empty" : string.Empty)}",
                "check the file");
    }

    // The probe may cut a character at its end.
    private static bool IsText(ReadOnlySpan<byte> first) =>
        !Encoding.UTF8.GetString(first).TrimEnd('\uFFFD').Contains('\uFFFD', StringComparison.Ordinal);

    // src/bin/pg_dump/pg_backup_archiver.h: archive 1.14 since PostgreSQL 12, 1.15 since 16, 1.16 since 17, also in 18.
    private static int MajorOf(ReadOnlySpan<byte> first) =>
        first.StartsWith("PGDMP"u8) && first.Length > 6 ? first[6] switch { <= 14 => 0, 15 => 16, 16 => 17, _ => 19 } : 0;
}
