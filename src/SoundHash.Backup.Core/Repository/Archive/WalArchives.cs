using System.Collections.Concurrent;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// The WAL of one cluster in every store that it is archived to. What is done here is done in each, side by side, and counts when
/// enough of them did it; what the others lack is remembered, and given to them later.
/// </summary>
public sealed class WalArchives
{
    private const int MostHealedAtOnce = 64;
    private static readonly TimeSpan OptionalLimit = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan RequiredLimit = TimeSpan.FromMinutes(5);

    private readonly IReadOnlyList<IObjectStore> _stores;
    private readonly int _required;
    private readonly WalBehind? _behind;
    private readonly ILogger _log;
    private readonly ConcurrentDictionary<string, bool> _admitted = new();

    /// <summary>Opens them; nothing is asked of them yet.</summary>
    /// <param name="stores">The stores, at least one.</param>
    /// <param name="systemIdentifier">The cluster.</param>
    /// <param name="required">How many stores must have a file for it to count as archived.</param>
    /// <param name="behind">Remembers what the others lack; null to forget it.</param>
    /// <param name="log">Hears of stores that fail and can be done without.</param>
    public WalArchives(IReadOnlyList<IObjectStore> stores, ulong systemIdentifier, int required, WalBehind? behind, ILogger log)
    {
        All = stores.Select(s => new WalArchive(s, systemIdentifier)).ToList();
        Pieces = stores.Select(s => new WalPieces(s, systemIdentifier)).ToList();
        SystemIdentifier = systemIdentifier;
        _stores = stores;
        _required = Math.Clamp(required, 1, stores.Count);
        _behind = behind;
        _log = log;
    }

    private WalArchives(WalArchive only, ILogger log)
    {
        All = [only];
        _stores = [];
        Pieces = [];
        SystemIdentifier = only.SystemIdentifier;
        _required = 1;
        _log = log;
    }

    /// <summary>One store's archive by itself.</summary>
    public static WalArchives Of(WalArchive only, ILogger log) => new(only, log);

    /// <summary>The archive in each store.</summary>
    public IReadOnlyList<WalArchive> All { get; }

    /// <summary>The pieces in each store.</summary>
    internal IReadOnlyList<WalPieces> Pieces { get; }

    /// <summary>The cluster.</summary>
    public ulong SystemIdentifier { get; }

    /// <summary>The stores' names for messages.</summary>
    public string StoreNames => string.Join(" and ", All.Select(static a => a.StoreName));

    /// <summary>The stores that are known to have the archive.</summary>
    public IReadOnlyCollection<string> Admitted => _admitted.Keys.ToList();

    /// <summary>As <see cref="WalArchive.AdmitAsync"/>, in every store.</summary>
    /// <param name="hasArchived">Says of a store, by its name, whether the archive was there before.</param>
    /// <param name="now">The time.</param>
    /// <param name="cancel">Cancels.</param>
    public Task AdmitAsync(Func<string, bool> hasArchived, DateTimeOffset now, CancellationToken cancel) => EachAsync(
        null,
        async archive =>
        {
            await archive.AdmitAsync(hasArchived(archive.StoreName), now, cancel);
            _admitted[archive.StoreName] = true;
        },
        cancel);

    /// <summary>As <see cref="WalArchive.EnsureThereAsync"/>, in every store.</summary>
    public Task EnsureThereAsync(CancellationToken cancel) => EachAsync(null, a => a.EnsureThereAsync(cancel), cancel);

    /// <summary>Archives a file. When it returns, it is whole and durable in as many stores as are required.</summary>
    /// <param name="source">The file; compressed and encrypted once.</param>
    /// <param name="seal">How.</param>
    /// <param name="beforeCommit">Runs when all bytes are written and before they count; throws to stop that.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="WalConflictException">An archive has other bytes under that name; nothing was touched there.</exception>
    /// <exception cref="BackupException">Fewer stores have it than are required.</exception>
    public async Task<WalPutResult> PutAsync(WalSource source, Seal seal, Action? beforeCommit, CancellationToken cancel)
    {
        if (All.Count > 1)
        {
            source.ShareSealed(seal);
        }

        var stored = false;
        await EachAsync(
            source.Name,
            async archive =>
            {
                if (await archive.PutAsync(source, seal, beforeCommit, cancel) == WalPutResult.Stored)
                {
                    stored = true;
                }
            },
            cancel);
        return stored ? WalPutResult.Stored : WalPutResult.AlreadyThere;
    }

    /// <summary>True when a file is archived in every store that can be asked; enough of them must.</summary>
    public async Task<bool> ContainsAsync(WalFileName name, CancellationToken cancel)
    {
        var isEverywhere = true;
        await EachAsync(
            null,
            async archive =>
            {
                if (!await archive.ContainsAsync(name, cancel))
                {
                    isEverywhere = false;
                }
            },
            cancel);
        return isEverywhere;
    }

    /// <summary>True when as many stores as are required have a file with its sum, durable from then on.</summary>
    public async Task<bool> ConfirmAsync(WalFileName name, CancellationToken cancel)
    {
        var confirmed = 0;
        await EachAsync(
            null,
            async archive =>
            {
                if (await archive.ConfirmAsync(name, cancel))
                {
                    Interlocked.Increment(ref confirmed);
                }
            },
            cancel);
        return confirmed >= _required;
    }

    /// <summary>The sum of a file's plain bytes, and the store that says so; null when none of those that can be asked knows it.</summary>
    public async Task<(string Sha256, string Store)?> SumOfAsync(WalFileName name, CancellationToken cancel)
    {
        var sums = new ConcurrentDictionary<WalArchive, string>();
        await EachAsync(
            null,
            async archive =>
            {
                if (await archive.SumOfAsync(name, cancel) is { } sum)
                {
                    sums[archive] = sum;
                }
            },
            cancel);
        return All.FirstOrDefault(sums.ContainsKey) is { } first ? (sums[first], first.StoreName) : null;
    }

    /// <summary>The stores that surely have a file with its sum, by their names.</summary>
    public async Task<IReadOnlySet<string>> WithAsync(WalFileName name, CancellationToken cancel)
    {
        var with = new ConcurrentDictionary<string, bool>();
        await EachAsync(
            null,
            async archive =>
            {
                if (await archive.ConfirmAsync(name, cancel))
                {
                    with[archive.StoreName] = true;
                }
            },
            cancel);
        return with.Keys.ToHashSet();
    }

    /// <summary>Does something in every store itself; enough of them must do it.</summary>
    internal Task EachStoreAsync(Func<IObjectStore, Task> step, CancellationToken cancel)
    {
        var all = All.Zip(_stores).ToDictionary(static p => p.First, static p => p.Second);
        return EachAsync(null, archive => step(all[archive]), cancel);
    }

    /// <summary>Does something with the pieces in every store; enough of them must do it.</summary>
    internal Task EachPiecesAsync(Func<WalPieces, Task> step, CancellationToken cancel)
    {
        var all = All.Zip(Pieces).ToDictionary(static p => p.First, static p => p.Second);
        return EachAsync(null, archive => step(all[archive]), cancel);
    }

    /// <summary>
    /// Gives stores what they have not got when it was archived, some of it: it is copied from another store, as it is stored. What
    /// fails is left for the next time, and is no failure of what was archived now.
    /// </summary>
    public async Task HealAsync(CancellationToken cancel)
    {
        try
        {
            await Task.Run(() => HealAllAsync(cancel), cancel).WaitAsync(OptionalLimit, cancel);
        }
        catch (Exception e) when (e is BackupException or IOException or UnauthorizedAccessException or TimeoutException)
        {
            _log.Warning("what stores lack could not be copied to them: {Message:l}", e.Message);
        }
    }

    private async Task HealAllAsync(CancellationToken cancel)
    {
        foreach (var archive in All.Where(a => _behind is not null && !_behind.IsPaused(a.StoreName) && _behind.Of(a.StoreName).Count > 0))
        {
            try
            {
                await archive.EnsureThereAsync(cancel);
            }
            catch (BackupException e) when (!cancel.IsCancellationRequested)
            {
                Forgive(archive, null, e);
                continue;
            }

            foreach (var name in _behind!.Of(archive.StoreName).Take(MostHealedAtOnce))
            {
                if (await TryHealAsync(archive, name, cancel))
                {
                    _behind.Remove(archive.StoreName, name);
                }
            }
        }
    }

    // False where no other store can give it now. One that surely has the archive and not this file has cleaned it up: nobody needs it.
    private async Task<bool> TryHealAsync(WalArchive archive, WalFileName name, CancellationToken cancel)
    {
        var isGone = true;
        foreach (var other in All.Where(a => a != archive))
        {
            try
            {
                if (await archive.CopyFromAsync(other, name, cancel) is not null)
                {
                    _log.Information("{Name:l} is in store {Store:l} too now", name.Name, archive.StoreName);
                    return true;
                }

                await other.EnsureThereAsync(cancel);
            }
            catch (BackupException e) when (!cancel.IsCancellationRequested)
            {
                isGone = false;
                _log.Warning("{Message:l}", e.Message);
            }
        }

        return isGone;
    }

    private async Task EachAsync(WalFileName? writes, Func<WalArchive, Task> step, CancellationToken cancel)
    {
        if (All is [var only])
        {
            await step(only);
            return;
        }

        var failures = await Task.WhenAll(All.Select(a => TryAsync(a, step, mayPause: true, cancel)));
        if (All.Count - failures.Count(static f => f is not null) < _required)
        {
            // One that was not asked since it failed a moment ago may be the one that is needed.
            failures = await Task.WhenAll(All.Zip(failures).Select(p =>
                p.Second is PausedException ? TryAsync(p.First, step, mayPause: false, cancel) : Task.FromResult(p.Second)));
        }

        var failed = All.Zip(failures).Where(static f => f.Second is not null).ToList();
        // What another store would refuse as well, and what is wrong with the file or with us, is no store's failure.
        if (failed.Select(static f => f.Second!).FirstOrDefault(static e => e is WalConflictException || e.Kind is not (ErrorKind.Storage or ErrorKind.Verification)) is { } grave)
        {
            throw grave;
        }

        if (All.Count - failed.Count < _required)
        {
            throw failed[0].Second!;
        }

        foreach (var (archive, failure) in failed)
        {
            Forgive(archive, writes, failure!);
        }
    }

    // On a thread of its own, and not for ever: a file system that hangs does so in the middle of a call, and PostgreSQL would wait with it.
    private async Task<BackupException?> TryAsync(WalArchive archive, Func<WalArchive, Task> step, bool mayPause, CancellationToken cancel)
    {
        if (mayPause && _required < All.Count && _behind?.IsPaused(archive.StoreName) == true)
        {
            return new PausedException(archive.StoreName);
        }

        var limit = _required < All.Count ? OptionalLimit : RequiredLimit;
        try
        {
            await Task.Run(() => step(archive), cancel).WaitAsync(limit, cancel);
            return null;
        }
        catch (TimeoutException e)
        {
            return new StorageException(
                $"store {archive.StoreName} did not answer within {limit.TotalSeconds:0} s", "see what it waits for: the network, or a file system that hangs (findmnt, dmesg)", e);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            return e;
        }
    }

    private void Forgive(WalArchive archive, WalFileName? writes, BackupException failure)
    {
        if (failure is not PausedException)
        {
            _log.Warning("store {Store:l} is left behind for now: {Message:l}", archive.StoreName, failure.Message);
            _behind?.Failed(archive.StoreName);
        }

        if (writes is not null)
        {
            _behind?.Add(archive.StoreName, writes);
        }
    }

    private sealed class PausedException(string store) : StorageException($"store {store} failed a moment ago and is not asked again yet");
}
