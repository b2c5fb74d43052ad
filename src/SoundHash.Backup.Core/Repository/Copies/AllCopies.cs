using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Copies;

/// <summary>A store and what it holds, or why that can't be told.</summary>
/// <param name="Store">The store.</param>
/// <param name="Catalogue">What it holds; null when it can't be read.</param>
/// <param name="Problem">Why it can't be read, or null.</param>
public sealed record StoreView(IObjectStore Store, Catalogue? Catalogue, BackupException? Problem);

/// <summary>What the stores of a repository hold together. A set may have a copy in each; they have one id and one manifest.</summary>
public sealed class AllCopies
{
    private readonly Dictionary<string, IReadOnlyList<SetCopy>> _copies;

    private AllCopies(IReadOnlyList<StoreView> views, ILogger log)
    {
        Views = views;
        var readable = views.Where(static v => v.Catalogue is not null).ToList();
        _copies = IdsOf(readable).ToDictionary(static id => id, id => MergedSet.CopiesOf(id, readable));
        Catalogue = readable is [{ Catalogue: { } only }] ? only : Merge(readable);
        Reader = readable is [var one] ? one.Store : new JoinedReader(readable.ConvertAll(static v => v.Store), CopiesOf, log);
    }

    /// <summary>Each store by itself, the nearest first.</summary>
    public IReadOnlyList<StoreView> Views { get; }

    /// <summary>The sets of all stores that can be read: each once, as its copies together are.</summary>
    public Catalogue Catalogue { get; }

    /// <summary>
    /// Reads from the nearest store with a good copy, and goes over to the next one, also in the middle of an object, when it fails.
    /// It can't be written to.
    /// </summary>
    public IObjectStore Reader { get; }

    /// <summary>Stores that can't be read, and copies that are not those of their set.</summary>
    public IReadOnlyList<BackupException> Problems => Views.Select(static v => v.Problem).OfType<BackupException>()
        .Concat(_copies.Values.SelectMany(static c => c).Select(static c => c.Difference).OfType<BackupException>()).ToList();

    /// <summary>Reads all manifests of all stores, side by side.</summary>
    /// <param name="stores">The stores, the nearest first; at least one.</param>
    /// <param name="log">Hears when reading goes over from one store to another.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">None can be read; of a single store, its own error.</exception>
    public static async Task<AllCopies> LoadAsync(IReadOnlyList<IObjectStore> stores, ILogger log, CancellationToken cancel)
    {
        if (stores is [var only])
        {
            return new AllCopies([new StoreView(only, await Catalogue.LoadAsync(only, cancel), null)], log);
        }

        var views = await Task.WhenAll(stores.Select(s => Task.Run(() => ViewAsync(s, cancel), cancel)));
        if (Array.TrueForAll(views, static v => v.Problem is not null))
        {
            throw new StorageException(
                $"no store can be read: {string.Join("; ", views.Select(static v => v.Problem!.Message))}",
                views.Select(static v => v.Problem!.Hint).OfType<string>().FirstOrDefault());
        }

        return new AllCopies(views, log);
    }

    /// <summary>The copies of a set, in the stores that can be read and know it, the nearest first.</summary>
    public IReadOnlyList<SetCopy> CopiesOf(string id) => _copies.GetValueOrDefault(id) ?? [];

    private static async Task<StoreView> ViewAsync(IObjectStore store, CancellationToken cancel)
    {
        try
        {
            return new StoreView(store, await Catalogue.LoadAsync(store, cancel), null);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            return new StoreView(store, null, new BackupException(e.Kind, $"store {store.Name} can't be read: {e.Message}", e.Hint, e));
        }
    }

    private static List<string> IdsOf(IEnumerable<StoreView> views) => views
        .SelectMany(static v => v.Catalogue!.Sets.Select(static s => s.Id).Concat(v.Catalogue.Leftovers.Select(static l => l.Id))).Distinct().ToList();

    private Catalogue Merge(IReadOnlyList<StoreView> views)
    {
        var sets = _copies.Select(static c => MergedSet.EntryOf(c.Key, c.Value)).OfType<CatalogueEntry>().ToList();
        var known = sets.Select(static s => s.Id).ToHashSet();
        var leftovers = views.SelectMany(static v => v.Catalogue!.Leftovers).Where(l => !known.Contains(l.Id)).DistinctBy(static l => l.Id);
        return Catalogue.InOrder(sets, [.. leftovers]);
    }
}
