using System.Collections.Concurrent;
using System.Text;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.FanOut;

namespace SoundHash.Backup.Repository;

/// <summary>
/// Writes one set to one store or several: intent first, then objects, then SHA256SUMS, then the manifest, which makes the set
/// exist, in each store on its own. A store that fails is left out from then on, and the others go on. Disposing it removes what
/// was written where it was not committed; after a kill the next run of the same lock does that.
/// </summary>
public sealed class SetWriter : IAsyncDisposable
{
    private readonly StoreGroup _stores;
    private readonly IReadOnlyDictionary<Destination, SetCopyWriter> _copies;
    private readonly Seal _seal;
    private readonly SetKeeping _keeping;
    private readonly TimeProvider _time;
    private readonly long _began;
    private IntentRecord _intent;

    private SetWriter(
        StoreGroup stores, IEnumerable<SetCopyWriter> copies, string id, Seal seal, SetKeeping keeping, IntentRecord intent, TimeProvider time)
    {
        _stores = stores;
        _copies = copies.ToDictionary(static c => c.Destination);
        Id = id;
        _seal = seal;
        _keeping = keeping;
        _intent = intent;
        _time = time;
        _began = time.GetTimestamp();
    }

    /// <summary>The set's id.</summary>
    public string Id { get; }

    /// <summary>Reserves an id by writing its intent in every store.</summary>
    /// <param name="stores">Where to.</param>
    /// <param name="name">The set's name.</param>
    /// <param name="held">The run's lock.</param>
    /// <param name="seal">How objects are compressed and encrypted.</param>
    /// <param name="keeping">How the set is to be kept.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">For people.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">No store can be written, or two of them are the same place.</exception>
    public static async Task<SetWriter> BeginAsync(
        StoreGroup stores,
        string name,
        RunLock held,
        Seal seal,
        SetKeeping keeping,
        TimeProvider time,
        ILogger log,
        CancellationToken cancel)
    {
        var intent = IntentRecord.Of(held, time) with { WalFrom = keeping.Kind == SetKind.Logical ? IntentRecord.NoWal : null };
        for (var attempt = 1; ; attempt++)
        {
            var id = SetId.Make(name, keeping.Started, attempt);
            if (await TryReserveAsync(stores, id, intent, log, cancel) is { } copies)
            {
                return new SetWriter(stores, copies, id, seal, keeping, intent, time);
            }

            log.Debug("set id {Id} is taken", id);
        }
    }

    // Null where the id is taken in one of them: a set has the same id everywhere.
    private static async Task<IReadOnlyCollection<SetCopyWriter>?> TryReserveAsync(
        StoreGroup stores, string id, IntentRecord intent, ILogger log, CancellationToken cancel)
    {
        var copies = new ConcurrentBag<SetCopyWriter>();
        var isTaken = false;
        try
        {
            await stores.EachAsync(
                async (destination, token) =>
                {
                    var copy = new SetCopyWriter(destination, id, log);
                    if (await copy.TryReserveAsync(intent, token))
                    {
                        copies.Add(copy);
                    }
                    else
                    {
                        isTaken = true;
                    }
                },
                cancel);
        }
        catch
        {
            await ReleaseAsync(copies);
            throw;
        }

        if (!isTaken)
        {
            return copies;
        }

        await ReleaseAsync(copies);
        return null;
    }

    private static async Task ReleaseAsync(IEnumerable<SetCopyWriter> copies)
    {
        foreach (var copy in copies)
        {
            await copy.ReleaseAsync();
        }
    }

    /// <summary>Begins an object of the set.</summary>
    public Task<SealedObject> CreateAsync(string name, ObjectRole role, CancellationToken cancel) => SealedObject.CreateAsync(
        key => _stores.OpenWriteAsync(RepositoryLayout.InSet(Id, key), WriteMode.CreateNew, _keeping.Attributes, cancel), name, role, _seal);

    /// <summary>
    /// Makes the set exist in every store that is left. Every object is looked at again first, and the manifest read as its readers
    /// will. From the first manifest on it is not cancelled any more.
    /// </summary>
    /// <returns>What became of each store's copy; at least one exists.</returns>
    /// <exception cref="BackupException">
    /// In no store the objects are there as they were written, or the manifest could not be used; the set does not exist then.
    /// </exception>
    public async Task<WrittenSet> CommitAsync(Manifest manifest, CancellationToken cancel)
    {
        var bytes = ManifestFormat.Write(manifest);
        // One that is refused later on would be no backup, and would stop every choice of the newest set besides.
        _ = ManifestFormat.Read(bytes, Id);
        var sums = Encoding.ASCII.GetBytes(string.Concat(manifest.Objects.Select(static o => $"{o.StoredSha256}  {o.Key}\n")));
        await _stores.EachAsync((destination, token) => _copies[destination].PrepareAsync(manifest, sums, _keeping, token), cancel);
        cancel.ThrowIfCancellationRequested();
        var took = new ConcurrentDictionary<Destination, TimeSpan>();
        await _stores.EachAsync(
            async (destination, token) =>
            {
                await _copies[destination].PublishAsync(bytes, _keeping, token);
                took[destination] = _time.GetElapsedTime(_began);
            },
            CancellationToken.None);
        return new WrittenSet(manifest, _stores.Destinations.Select(d => OutcomeOf(d, manifest, took.GetValueOrDefault(d))).ToList());
    }

    // A copy that was published a moment before its store was dropped counts: it is there.
    private CopyOutcome OutcomeOf(Destination destination, Manifest manifest, TimeSpan took) =>
        _copies.GetValueOrDefault(destination) is { IsCommitted: true }
            ? new CopyOutcome(destination.Store.Name, CopyState.Done, manifest.StoredBytes, took.TotalSeconds, null)
            : new CopyOutcome(
                destination.Store.Name, destination.Stalled ? CopyState.Behind : CopyState.Failed, 0, 0, destination.Failure);

    /// <summary>
    /// Says from which position on the set will need WAL, or <see cref="IntentRecord.NoWal"/>: until then a clean-up of the WAL
    /// archive removes nothing.
    /// </summary>
    public Task SayWalFromAsync(string walFrom, CancellationToken cancel)
    {
        _intent = _intent with { WalFrom = walFrom };
        return RefreshIntentAsync(cancel);
    }

    /// <summary>Says that the writer is still at work.</summary>
    public Task RefreshIntentAsync(CancellationToken cancel) =>
        _stores.EachAsync((destination, token) => _copies[destination].RefreshIntentAsync(_intent, token), cancel);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        var left = _copies.Values.Where(static c => !c.IsCommitted).ToList();
        await Task.WhenAll(left.Select(c => _stores.OneAsync(c.Destination, c.GiveUpAsync, CancellationToken.None)));
    }
}
