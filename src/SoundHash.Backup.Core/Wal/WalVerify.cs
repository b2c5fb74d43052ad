using System.Collections.Concurrent;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Wal;

/// <summary>What reading archived files found.</summary>
/// <param name="Files">How many there are.</param>
/// <param name="Read">How many were read to their end and are as they were archived.</param>
/// <param name="Stored">How many were not decrypted, and are stored as they were.</param>
/// <param name="Unread">How many were not decrypted, and how they were stored is not known: only their presence is.</param>
/// <param name="Damage">What is wrong, by file.</param>
/// <param name="KeyProblem">Why those could not be decrypted.</param>
/// <param name="HasKey">A key was given, or opened others: then what it does not open can't be recovered with it.</param>
public sealed record WalReadResult(
    int Files,
    int Read,
    int Stored,
    int Unread,
    IReadOnlyList<(WalFileName Name, BackupException Error)> Damage,
    BackupException? KeyProblem,
    bool HasKey)
{
    /// <summary>The same when files of it were replaced and read again.</summary>
    public WalReadResult After(WalReadResult again, IReadOnlyCollection<WalFileName> replaced) => this with
    {
        Read = Read + again.Read,
        Stored = Stored + again.Stored,
        Unread = Unread + again.Unread,
        Damage = Damage.Where(d => !replaced.Contains(d.Name)).Concat(again.Damage).ToList(),
        KeyProblem = KeyProblem ?? again.KeyProblem,
    };
}

/// <summary>Reads archived files back: content against sum, header against name, length against header.</summary>
/// <param name="wal">The archive.</param>
/// <param name="providers">Makes the provider of a method.</param>
/// <param name="hasAgeKey">An age identity is given.</param>
/// <param name="meter">Measures the plain bytes.</param>
/// <param name="completesSums">Lets the sums of encrypted files that are right say how these are stored, where they do not.</param>
public sealed class WalVerify(
    LoadedWal wal, Func<EncryptionMethod, IEncryptionProvider> providers, bool hasAgeKey, TransferMeter meter, bool completesSums)
{
    /// <summary>Reads files, several at once.</summary>
    public async Task<WalReadResult> ReadAsync(IReadOnlyCollection<WalEntry> entries, int jobs, CancellationToken cancel)
    {
        var damage = new ConcurrentBag<(WalFileName Name, BackupException Error)>();
        var locked = new ConcurrentBag<(WalFileName Name, BackupException Error)>();
        var (read, decrypted, stored) = (0, 0, 0);
        BackupException? problem = null;
        var options = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancel };
        await Parallel.ForEachAsync(entries, options, async (entry, stop) =>
        {
            var opened = EncryptionMethod.None;
            IEncryptionProvider Provider(EncryptionMethod method)
            {
                opened = method;
                return method == EncryptionMethod.Age && !hasAgeKey ? throw NoKey(entry.Name) : providers(method);
            }

            try
            {
                await ReadAsync(entry, Provider, stop);
                Interlocked.Increment(ref read);
                if (opened != EncryptionMethod.None)
                {
                    Interlocked.Increment(ref decrypted);
                    await (completesSums ? wal.Archive.CompleteSumAsync(entry.Name, stop) : Task.CompletedTask);
                }
            }
            catch (BackupException e) when (e.Kind is ErrorKind.Encryption or ErrorKind.ToolMissing)
            {
                Interlocked.CompareExchange(ref problem, e, null);
                await ReadStoredAsync(entry, e, stop);
            }
            catch (BackupException e) when (e.Kind == ErrorKind.Verification)
            {
                damage.Add((entry.Name, e));
            }
        });

        // With a key that opens others, one that it does not open is damaged.
        var shut = decrypted == 0;
        var wrong = damage.Concat(shut ? [] : locked.Select(static l => (l.Name, AsDamage(l.Error))));
        return new WalReadResult(
            entries.Count,
            read,
            stored,
            shut ? locked.Count : 0,
            wrong.OrderBy(static w => w.Name.Name, StringComparer.Ordinal).ToList(),
            stored > 0 || (shut && !locked.IsEmpty) ? problem : null,
            hasAgeKey || !shut);

        async Task ReadStoredAsync(WalEntry entry, BackupException shutBy, CancellationToken stop)
        {
            try
            {
                if (await wal.Archive.IsStoredAsItWasAsync(entry.Name, meter, stop))
                {
                    Interlocked.Increment(ref stored);
                }
                else
                {
                    locked.Add((entry.Name, shutBy));
                }
            }
            catch (BackupException e) when (e.Kind == ErrorKind.Verification)
            {
                damage.Add((entry.Name, e));
            }
        }
    }

    /// <summary>Makes sure that a file is what its name says and has the content that was archived.</summary>
    /// <exception cref="BackupException">It is not, or can't be decrypted.</exception>
    private async Task ReadAsync(WalEntry entry, Func<EncryptionMethod, IEncryptionProvider> own, CancellationToken cancel)
    {
        await using var plain = await wal.Archive.OpenAsync(entry.Name, own, cancel) ?? throw new BackupException(
            ErrorKind.Verification, $"WAL file {entry.Name} is gone from store {wal.Archive.StoreName} since it was listed");
        var first = new byte[WalHeader.Bytes];
        var length = (long)await plain.ReadAtLeastAsync(first, first.Length, throwOnEndOfStream: false, cancel);
        var header = WalHeader.TryRead(first.AsSpan(0, (int)length));
        length += await StreamCopy.DrainAsync(plain, meter, cancel);
        if (entry.Name.Kind is not (WalFileKind.Segment or WalFileKind.Partial))
        {
            return;
        }

        if (header is null)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"WAL file {entry.Name} in store {wal.Archive.StoreName} does not begin like one",
                "it was archived so: see which server writes to that archive");
        }

        var timeline = entry.Name.TimelineNumber;
        // Where the history can't be read, only the server's own check at archiving speaks for an ancestor's page.
        var isUnknown = header.Timeline < timeline && wal.Index.HistoryOf(timeline) is null;
        var judged = isUnknown ? header with { Timeline = timeline } : header;
        judged.EnsureIs(entry.Name, wal.Archive.SystemIdentifier, wal.Index.HistoryOf(timeline), length);
    }

    private static BackupException AsDamage(BackupException e) => new(
        ErrorKind.Verification, e.Message, "other files open with the same key, so that this one is damaged: use another copy of it", e);

    private static BackupException NoKey(WalFileName name) => new(
        ErrorKind.Encryption, $"WAL file {name} is encrypted with age, and no key is given", "set BACKUP_DECRYPTION_IDENTITY_FILE");
}
