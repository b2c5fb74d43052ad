using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
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
/// <param name="Findings">What is wrong, each with its kind and hint; empty when all is as recorded.</param>
public sealed record VerificationResult(string SetId, long StoredBytes, IReadOnlyList<BackupException> Findings)
{
    /// <summary>True when no key opened the set, so that nothing is known of what it holds; no sign of damage.</summary>
    public bool IsSealed { get; init; }

    /// <summary>What is wrong, one line each; empty when all is as recorded.</summary>
    public IReadOnlyList<string> Problems => Findings.Select(static f => f.Message).ToList();
}

/// <summary>Reads sets back and compares them with what was recorded.</summary>
public sealed class SetVerifier(IObjectStore store, ProcessLauncher launcher, TransferMeter meter)
{
    private const int MaxContentsBytes = 512 * 1024 * 1024;
    private const string UseAnother = "use another set or copy: shbackup backup list, then shbackup backup verify --all";

    /// <summary>Re-reads every stored object against its hash, and SHA256SUMS against the manifest. Needs no key.</summary>
    public async Task<VerificationResult> VerifyStoredAsync(Manifest manifest, int jobs, CancellationToken cancel)
    {
        var findings = FoundOnServer(manifest);
        await FindAsync(findings, () => CheckSumsAsync(manifest, cancel));
        await ForEachAsync(manifest.Objects, jobs, findings, (item, stop) => ReadStoredAsync(manifest, item, stop), cancel);
        return new VerificationResult(manifest.Id, manifest.StoredBytes, findings);
    }

    /// <summary>
    /// As <see cref="VerifyStoredAsync"/>, and decrypts, decompresses, compares the plain hashes, reads each archive's
    /// table of contents and looks for every table in it.
    /// </summary>
    /// <exception cref="BackupException">The set can't be decrypted, and nothing was found to be damaged before that.</exception>
    public async Task<VerificationResult> VerifyDeepAsync(
        Manifest manifest, PgTools tools, Func<EncryptionMethod, IEncryptionProvider> providers, int jobs, CancellationToken cancel)
    {
        var findings = new List<BackupException>();
        await FindAsync(findings, () => CheckSumsAsync(manifest, cancel));
        try
        {
            ArchivedTables? tables = null;
            await FindAsync(findings, async () => tables = new ArchivedTables(await ReadContentsAsync(store, manifest, providers, cancel)));
            var contents = manifest.Objects.FirstOrDefault(static o => o.Role == ObjectRole.Contents);
            var others = manifest.Objects.Where(o => o != contents);
            await ForEachAsync(
                others,
                jobs,
                findings,
                (item, stop) => ReadPlainAsync(manifest, item, tools, providers, line => tables?.See(line), stop),
                cancel);
            if (findings.Count == 0)
            {
                findings.AddRange(tables!.Missing().Select(static t => new BackupException(
                    ErrorKind.Verification,
                    $"table {SqlText.Identifier(t.Schema, t.Name)} is in the contents and in no archive of the set",
                    UseAnother)));
            }
        }
        catch (BackupException e) when (findings.Count > 0)
        {
            // A key that is missing must not hide that the set is damaged.
            findings.Add(e);
        }

        return new VerificationResult(manifest.Id, manifest.StoredBytes, findings);
    }

    /// <summary>
    /// As <see cref="VerifyDeepAsync"/>, for a physical set: reads its archives, and compares every file with what the contents say.
    /// </summary>
    /// <exception cref="BackupException">The set can't be decrypted, and nothing was found to be damaged before that.</exception>
    public async Task<VerificationResult> VerifyDeepPhysicalAsync(
        Manifest manifest, Func<EncryptionMethod, IEncryptionProvider> providers, int jobs, CancellationToken cancel)
    {
        var findings = FoundOnServer(manifest);
        var known = findings.Count;
        await FindAsync(findings, () => CheckSumsAsync(manifest, cancel));
        try
        {
            VolumeCheck? check = null;
            await FindAsync(findings, async () => check = new VolumeCheck(
                manifest.Id, await ReadPhysicalContentsAsync(store, manifest, providers, cancel)));
            var archives = manifest.Objects.Where(static o => o.Role is ObjectRole.Volume or ObjectRole.Final);
            await ForEachAsync(archives, jobs, findings, (item, stop) => ReadArchiveAsync(manifest, item, providers, check, stop), cancel);
            if (findings.Count == known)
            {
                findings.AddRange(check!.Missing());
            }
        }
        catch (BackupException e) when (findings.Count > 0)
        {
            // A key that is missing must not hide that the set is damaged.
            findings.Add(e);
        }

        return new VerificationResult(manifest.Id, manifest.StoredBytes, findings);
    }

    /// <summary>The error of a set whose pages were damaged on the server already.</summary>
    public static BackupException DamagedPages(string setId, int pages) => new(
        ErrorKind.Verification,
        $"set {setId} is not good: {pages} of its pages were damaged on the server when it was made",
        $"use an older set where there is one; for the pages: shbackup backup show {setId}");

    // It is as it was written, and all the same nothing to rely on.
    private static List<BackupException> FoundOnServer(Manifest manifest) =>
        manifest.Physical is { DamagedPages.Count: > 0 and var pages } ? [DamagedPages(manifest.Id, pages)] : [];

    /// <summary>Reads the description of a logical set.</summary>
    /// <exception cref="BackupException">It can't be decrypted, or is not what was recorded.</exception>
    public static Task<Contents> ReadContentsAsync(
        IObjectStore store, Manifest manifest, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel) =>
        ReadContentsAsync(store, manifest, RepositoryJson.Default.Contents, providers, cancel);

    /// <summary>Reads the description of a physical set.</summary>
    /// <exception cref="BackupException">It can't be decrypted, or is not what was recorded.</exception>
    public static Task<PhysicalContents> ReadPhysicalContentsAsync(
        IObjectStore store, Manifest manifest, Func<EncryptionMethod, IEncryptionProvider> providers, CancellationToken cancel) =>
        ReadContentsAsync(store, manifest, RepositoryJson.Default.PhysicalContents, providers, cancel);

    private static async Task<T> ReadContentsAsync<T>(
        IObjectStore store,
        Manifest manifest,
        JsonTypeInfo<T> type,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        CancellationToken cancel)
    {
        var record = manifest.Single(ObjectRole.Contents);
        if (record.PlainBytes > MaxContentsBytes)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"the contents of set {manifest.Id} are too large: {record.PlainBytes} bytes");
        }

        await using var plain = await SealedObject.OpenPlainAsync(store, manifest.Id, record, PlainCheck.Whole, providers, cancel);
        using var buffer = new MemoryStream();
        await plain.CopyToAsync(buffer, cancel);
        try
        {
            return JsonSerializer.Deserialize(buffer.GetBuffer().AsSpan(0, (int)buffer.Length), type) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new BackupException(ErrorKind.Verification, $"the contents of set {manifest.Id} can't be read: {e.Message}", inner: e);
        }
    }

    private async Task ReadArchiveAsync(
        Manifest manifest,
        ObjectRecord item,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        VolumeCheck? check,
        CancellationToken cancel)
    {
        await using var plain = await SealedObject.OpenPlainAsync(store, manifest.Id, item, PlainCheck.Whole, providers, cancel);
        await (check?.ReadAsync(item, plain, meter, null, cancel) ?? StreamCopy.DrainAsync(plain, meter, cancel));
    }

    private async Task ReadStoredAsync(Manifest manifest, ObjectRecord item, CancellationToken cancel)
    {
        await using var stored = await SealedObject.OpenStoredAsync(store, manifest.Id, item, cancel);
        await StreamCopy.DrainAsync(stored, meter, cancel);
    }

    private async Task ReadPlainAsync(
        Manifest manifest,
        ObjectRecord item,
        PgTools tools,
        Func<EncryptionMethod, IEncryptionProvider> providers,
        Action<string> line,
        CancellationToken cancel)
    {
        await using var plain = await SealedObject.OpenPlainAsync(store, manifest.Id, item, PlainCheck.Whole, providers, cancel);
        if (item.Role is ObjectRole.Globals or ObjectRole.Contents)
        {
            await StreamCopy.DrainAsync(plain, meter, cancel);
        }
        else
        {
            await PgArchive.ListAsync(tools, launcher, plain, line, meter, cancel);
        }
    }

    private async Task CheckSumsAsync(Manifest manifest, CancellationToken cancel)
    {
        var bytes = await store.ReadAsync(
            RepositoryLayout.InSet(manifest.Id, RepositoryLayout.SumsFile), ManifestFormat.MaxBytes, cancel);
        var recorded = manifest.Objects.Select(static o => $"{o.StoredSha256}  {o.Key}").ToHashSet();
        if (bytes is null || !recorded.SetEquals(Encoding.UTF8.GetString(bytes).Split('\n', StringSplitOptions.RemoveEmptyEntries)))
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{RepositoryLayout.SumsFile} of set {manifest.Id} {(bytes is null ? "is missing" : "differs from its manifest")}",
                UseAnother);
        }
    }

    private static async Task ForEachAsync(
        IEnumerable<ObjectRecord> objects,
        int jobs,
        List<BackupException> findings,
        Func<ObjectRecord, CancellationToken, Task> check,
        CancellationToken cancel)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancel };
        await Parallel.ForEachAsync(objects, options, async (item, stop) => await FindAsync(findings, () => check(item, stop)));
    }

    // Errors of other kinds are none of the object: with the wrong key all would fail in the same way.
    private static async Task FindAsync(List<BackupException> findings, Func<Task> check)
    {
        try
        {
            await check();
        }
        catch (BackupException e) when (e.Kind is ErrorKind.Verification or ErrorKind.Storage or ErrorKind.ChildFailed)
        {
            // What is missing, and what pg_restore can't read, is damage, and not a failure of the store or of the program.
            var damaged = e is ObjectMissingException || e.Kind == ErrorKind.ChildFailed;
            lock (findings)
            {
                findings.Add(damaged ? new BackupException(ErrorKind.Verification, e.Message, e.Hint ?? UseAnother, e) : e);
            }
        }
    }
}
