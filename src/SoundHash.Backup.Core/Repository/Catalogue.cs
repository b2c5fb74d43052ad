using System.Collections.Concurrent;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>A set as it stands in a store.</summary>
/// <param name="Id">The folder's name.</param>
/// <param name="Manifest">The manifest, or null when it can't be used.</param>
/// <param name="Problem">Why the manifest can't be used, or null.</param>
/// <param name="Pinned">True while keep.json is there.</param>
/// <param name="Stored">The objects that are there, by name, with their sizes in bytes.</param>
public sealed record CatalogueEntry(
    string Id, Manifest? Manifest, BackupException? Problem, bool Pinned, IReadOnlyDictionary<string, long> Stored)
{
    /// <summary>Objects of the manifest that are missing or have another size than recorded.</summary>
    public IEnumerable<string> DamagedObjects =>
        Manifest?.Objects.Where(o => !Stored.TryGetValue(o.Key, out var size) || size != o.StoredBytes).Select(static o => o.Key) ?? [];

    /// <summary>True when every object is there with its recorded size. Whether it holds what was written only verify tells.</summary>
    public bool IsComplete => Manifest is not null && !DamagedObjects.Any();
}

/// <summary>Objects without a manifest: a set that is being written, or that a killed writer left.</summary>
/// <param name="Id">The folder's name.</param>
/// <param name="Keys">Its objects.</param>
/// <param name="Newest">When the newest of them was written, by the store's clock.</param>
public sealed record Leftover(string Id, IReadOnlyList<string> Keys, DateTimeOffset Newest)
{
    /// <summary>
    /// Why there is no set here, or null while a run writes or removes it, or was killed in that: without the intent of one, its
    /// manifest was lost, or somebody is still copying it.
    /// </summary>
    public BackupException? Problem => Keys.Contains(RepositoryLayout.InSet(Id, RepositoryLayout.IntentFile)) ? null : new BackupException(
        ErrorKind.Verification,
        $"set {Id} has no {RepositoryLayout.ManifestFile}, and no run of shbackup left it so",
        $"finish copying it, fetch its {RepositoryLayout.ManifestFile} from another copy, or remove the folder sets/{Id} when it is of no use");
}

/// <summary>What a store holds. Order comes from the recorded start of each set, never from names or file times.</summary>
/// <param name="Sets">Sets with a manifest, newest first; those whose manifest can't be used come last.</param>
/// <param name="Leftovers">Folders without one.</param>
public sealed record Catalogue(IReadOnlyList<CatalogueEntry> Sets, IReadOnlyList<Leftover> Leftovers)
{
    // A distant store answers each of them after a while, and many at once as fast.
    private const int ManifestsAtOnce = 16;

    /// <summary>Reads all manifests of a store. A manifest that can't be used is an entry with its problem.</summary>
    public static async Task<Catalogue> LoadAsync(IObjectStore store, CancellationToken cancel)
    {
        var folders = new Dictionary<string, List<ObjectInfo>>();
        await foreach (var item in store.ListAsync($"{RepositoryLayout.Sets}/", cancel))
        {
            if (item.Key.Split('/') is [_, var id, _])
            {
                (folders.TryGetValue(id, out var list) ? list : folders[id] = []).Add(item);
            }
        }

        var sets = new ConcurrentBag<CatalogueEntry>();
        var leftovers = new List<Leftover>();
        var withManifest = new List<(string Id, List<ObjectInfo> Items)>();
        foreach (var (id, items) in folders)
        {
            if (items.Any(i => i.Key == RepositoryLayout.InSet(id, RepositoryLayout.ManifestFile)))
            {
                withManifest.Add((id, items));
            }
            else
            {
                leftovers.Add(new Leftover(id, items.ConvertAll(static i => i.Key), items.Max(static i => i.Modified)));
            }
        }

        var options = new ParallelOptions { MaxDegreeOfParallelism = ManifestsAtOnce, CancellationToken = cancel };
        await Parallel.ForEachAsync(withManifest, options, async (set, token) =>
        {
            // Gone between the list and now: somebody removes the set, which begins with its manifest.
            if (await LoadEntryAsync(store, set.Id, set.Items, token) is { } entry)
            {
                sets.Add(entry);
            }
        });
        return InOrder(sets, leftovers);
    }

    /// <summary>What a store has under one id now; null where there is no manifest.</summary>
    internal static async Task<CatalogueEntry?> LoadSetAsync(IObjectStore store, string id, CancellationToken cancel)
    {
        var items = new List<ObjectInfo>();
        await foreach (var item in store.ListAsync($"{RepositoryLayout.SetFolder(id)}/", cancel))
        {
            if (item.Key.Split('/').Length == 3)
            {
                items.Add(item);
            }
        }

        return items.Exists(i => i.Key == RepositoryLayout.InSet(id, RepositoryLayout.ManifestFile)) ? await LoadEntryAsync(store, id, items, cancel) : null;
    }

    /// <summary>A catalogue of sets in any order.</summary>
    internal static Catalogue InOrder(IEnumerable<CatalogueEntry> sets, IReadOnlyList<Leftover> leftovers) => new(
        [.. sets.OrderBy(static s => s.Manifest is null).ThenByDescending(
            static s => s.Manifest?.Started).ThenByDescending(static s => s.Id, StringComparer.Ordinal)],
        leftovers);

    /// <summary>The set of an id, or of an unambiguous beginning of one.</summary>
    /// <exception cref="BackupException">There is none, there are several, or its manifest can't be used.</exception>
    public Manifest Find(string id)
    {
        var found = Sets.Where(s => s.Id == id).ToList() is { Count: 1 } exact
            ? exact
            : Sets.Where(s => id.Length > 0 && s.Id.StartsWith(id, StringComparison.Ordinal)).ToList();
        return found switch
        {
            [var one] => one.Manifest ?? throw one.Problem!,
            [] => throw new BackupException(ErrorKind.Failed, $"there is no set '{id}'", "shbackup backup list"),
            _ => throw new BackupException(
                ErrorKind.Usage,
                $"'{id}' is the beginning of {found.Count} sets: {string.Join(", ", found.Take(4).Select(static s => s.Id))}",
                "give the whole id"),
        };
    }

    /// <summary>
    /// The newest set of a database. A manifest that can't be used might be a newer one, so that it stops the choice unless its
    /// id is of an earlier second; and sets of several clusters are never chosen among.
    /// </summary>
    /// <param name="database">The database.</param>
    /// <param name="warn">Told of what can't be used and is passed over.</param>
    /// <exception cref="BackupException">There is none, or the choice is not safe.</exception>
    public Manifest Latest(string database, Action<string>? warn = null)
    {
        var sets = Sets.Select(static s => s.Manifest).OfType<Manifest>().Where(m => m.Kind == SetKind.Logical && m.Database == database).ToList();
        EnsureNewest(sets.FirstOrDefault(), $"the newest of database \"{database}\"", warn);
        var systems = sets.Select(static s => s.SystemIdentifier).Distinct().ToList();
        return sets switch
        {
            [] => throw new BackupException(
                ErrorKind.Failed, $"there is no set of database \"{database}\"", "shbackup backup list shows what there is"),
            _ when systems.Count > 1 => throw new BackupException(
                ErrorKind.Usage,
                $"the sets of database \"{database}\" come from {systems.Count} clusters (system identifiers {string.Join(", ", systems.Select(static s => s ?? "unknown"))})",
                "choose a set yourself: shbackup backup list, then restore --backup ID"),
            [var newest, ..] => newest,
        };
    }

    /// <summary>Refuses a choice that a set whose manifest can't be used might change: one that is not certainly older.</summary>
    /// <param name="newest">The newest of those to choose among, or null where there is none.</param>
    /// <param name="what">What it is, for the warning: "the newest of …".</param>
    /// <param name="warn">Told of what can't be used and is passed over.</param>
    /// <exception cref="BackupException">There is such a set.</exception>
    public void EnsureNewest(Manifest? newest, string what, Action<string>? warn)
    {
        foreach (var (id, problem) in Unusable)
        {
            if (newest is null || SetId.TimeOf(id) is not { } time || time.AddSeconds(1) > newest.Started)
            {
                throw new BackupException(
                    ErrorKind.Verification,
                    $"the newest set can't be told, since {problem.Message}",
                    "choose a set yourself: shbackup backup list, then restore --backup ID");
            }

            warn?.Invoke($"{problem.Message}; it is older than set {newest.Id}, which is {what}");
        }
    }

    // A folder that lost its manifest counts by its id alone: other programs have folders of their own in a directory.
    private IEnumerable<(string Id, BackupException Problem)> Unusable => Sets.Where(static s => s.Manifest is null)
        .Select(static s => (s.Id, s.Problem!))
        .Concat(Leftovers.Where(static l => l.Problem is not null && SetId.TimeOf(l.Id) is not null).Select(static l => (l.Id, l.Problem!)));

    private static async Task<CatalogueEntry?> LoadEntryAsync(
        IObjectStore store,
        string id,
        List<ObjectInfo> items,
        CancellationToken cancel)
    {
        var stored = items.ToDictionary(i => i.Key[(RepositoryLayout.SetFolder(id).Length + 1)..], static i => i.Size);
        var pinned = stored.ContainsKey(RepositoryLayout.KeepFile);
        try
        {
            var bytes = await store.ReadAsync(RepositoryLayout.InSet(id, RepositoryLayout.ManifestFile), ManifestFormat.MaxBytes, cancel);
            return bytes is null ? null : new CatalogueEntry(id, ManifestFormat.Read(bytes, id), null, pinned, stored);
        }
        catch (BackupException e)
        {
            return new CatalogueEntry(id, null, e, pinned, stored);
        }
    }
}
