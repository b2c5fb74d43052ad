using System.Text;
using System.Text.Json;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>What verifying a set found.</summary>
/// <param name="SetId">The set.</param>
/// <param name="StoredBytes">Bytes that were read back.</param>
/// <param name="Problems">What is wrong, one line each; empty when all is as recorded.</param>
public sealed record VerificationResult(string SetId, long StoredBytes, IReadOnlyList<string> Problems);

/// <summary>Reads sets back and compares them with what was recorded.</summary>
public sealed class SetVerifier(IObjectStore store, ProcessLauncher launcher, TransferMeter meter)
{
    private const int MaxContentsBytes = 512 * 1024 * 1024;

    /// <summary>Re-reads every stored object against its hash, and SHA256SUMS against the manifest. Needs no key.</summary>
    public async Task<VerificationResult> VerifyStoredAsync(Manifest manifest, int jobs, CancellationToken cancel)
    {
        var problems = new List<string>(await CheckSumsAsync(manifest, cancel));
        await ForEachObjectAsync(manifest, jobs, problems, (item, stop) => ReadStoredAsync(manifest, item, stop), cancel);
        return new VerificationResult(manifest.Id, manifest.StoredBytes, problems);
    }

    /// <summary>
    /// As <see cref="VerifyStoredAsync"/>, and decrypts, decompresses, compares the plain hashes, reads each archive's
    /// table of contents and looks for every table in it.
    /// </summary>
    public async Task<VerificationResult> VerifyDeepAsync(
        Manifest manifest, PgTools tools, Func<EncryptionMethod, IEncryptionProvider> providers, int jobs, CancellationToken cancel)
    {
        var problems = new List<string>(await CheckSumsAsync(manifest, cancel));
        var listings = new StringBuilder();
        async Task CheckAsync(ObjectRecord item, CancellationToken stop)
        {
            var listing = await ReadPlainAsync(manifest, item, tools, providers, stop);
            lock (listings)
            {
                listings.Append(listing).Append('\n');
            }
        }

        await ForEachObjectAsync(manifest, jobs, problems, CheckAsync, cancel);
        if (problems.Count == 0)
        {
            var contents = await ReadContentsAsync(store, manifest, providers, cancel);
            problems.AddRange(MissingTables(contents, listings.ToString()));
        }

        return new VerificationResult(manifest.Id, manifest.StoredBytes, problems);
    }

    /// <summary>Reads the description of a logical set.</summary>
    /// <exception cref="BackupException">It can't be decrypted, or is not what was recorded.</exception>
    public static async Task<Contents> ReadContentsAsync(
        IObjectStore store, Manifest manifest, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        var record = manifest.Single(ObjectRole.Contents);
        if (record.PlainBytes > MaxContentsBytes)
        {
            throw new BackupException(ErrorKind.Verification, $"the contents of set {manifest.Id} are too large: {record.PlainBytes} bytes");
        }

        await using var plain = await SealedObject.OpenPlainAsync(store, manifest.Id, record, providers, cancel);
        using var buffer = new MemoryStream();
        await plain.CopyToAsync(buffer, cancel);
        try
        {
            return JsonSerializer.Deserialize(buffer.GetBuffer().AsSpan(0, (int)buffer.Length), RepositoryJson.Default.Contents)
                ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new BackupException(ErrorKind.Verification, $"the contents of set {manifest.Id} can't be read: {e.Message}", inner: e);
        }
    }

    private async Task ReadStoredAsync(Manifest manifest, ObjectRecord item, CancellationToken cancel)
    {
        await using var stored = await SealedObject.OpenStoredAsync(store, manifest.Id, item, cancel);
        await DrainAsync(stored, cancel);
    }

    private async Task<string> ReadPlainAsync(
        Manifest manifest, ObjectRecord item, PgTools tools, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel)
    {
        try
        {
            await using var plain = await SealedObject.OpenPlainAsync(store, manifest.Id, item, providers, cancel);
            if (item.Role is not (ObjectRole.Globals or ObjectRole.Contents))
            {
                return await PgArchive.ListAsync(tools, launcher, plain, meter, cancel);
            }

            await DrainAsync(plain, cancel);
            return string.Empty;
        }
        catch (BackupException e) when (e.Kind == ErrorKind.Encryption)
        {
            // A damaged object can't be decrypted either: only when the stored bytes are right is the key to blame.
            await ReadStoredAsync(manifest, item, cancel);
            throw;
        }
    }

    private static async Task ForEachObjectAsync(
        Manifest manifest, int jobs, List<string> problems, Func<ObjectRecord, CancellationToken, Task> check, CancellationToken cancel)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancel };
        await Parallel.ForEachAsync(manifest.Objects, options, async (item, stop) =>
        {
            try
            {
                await check(item, stop);
            }
            catch (BackupException e) when (e.Kind is ErrorKind.Verification or ErrorKind.Storage or ErrorKind.ChildFailed)
            {
                lock (problems)
                {
                    problems.Add(e.Message);
                }
            }
        });
    }

    // A line of pg_restore --list ends in "TABLE DATA schema name owner"; CR and LF in names are printed as spaces each.
    // It is in the encoding of the database: where that is not UTF-8, names with other letters can't be looked for.
    private static IEnumerable<string> MissingTables(Contents contents, string listings) =>
        contents.Tables.Where(static t => t.IsJudged)
            .Where(t => contents.Database.Encoding == "UTF8" || (t.Schema + t.Name).All(char.IsAscii))
            .Where(t => !listings.Contains($" TABLE DATA {OneLine(t.Schema)} {OneLine(t.Name)} ", StringComparison.Ordinal))
            .Select(static t => $"table {SqlText.Identifier(t.Schema, t.Name)} is in the contents and in no archive of the set");

    private static string OneLine(string name) => name.Replace('\r', ' ').Replace('\n', ' ');

    private async Task<IReadOnlyList<string>> CheckSumsAsync(Manifest manifest, CancellationToken cancel)
    {
        var bytes = await store.ReadAsync(
            RepositoryLayout.InSet(manifest.Id, RepositoryLayout.SumsFile), ManifestFormat.MaxBytes, cancel);
        if (bytes is null)
        {
            return [$"{RepositoryLayout.SumsFile} of set {manifest.Id} is missing"];
        }

        var recorded = manifest.Objects.Select(static o => $"{o.StoredSha256}  {o.Key}").ToHashSet();
        return recorded.SetEquals(Encoding.UTF8.GetString(bytes).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            ? []
            : [$"{RepositoryLayout.SumsFile} of set {manifest.Id} differs from its manifest"];
    }

    private async Task DrainAsync(Stream stream, CancellationToken cancel)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        int read;
        while ((read = await stream.ReadAsync(buffer, cancel)) > 0)
        {
            await meter.AddAsync(read, cancel);
        }
    }
}
