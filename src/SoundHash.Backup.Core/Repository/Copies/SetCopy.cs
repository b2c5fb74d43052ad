using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Copies;

/// <summary>The state of a set's copy, as far as a list of its store tells.</summary>
public enum SetCopyState
{
    /// <summary>All objects are there with their recorded sizes.</summary>
    Ok,

    /// <summary>Objects are missing or have other sizes.</summary>
    Damaged,

    /// <summary>Its manifest can't be used, or is not there.</summary>
    Broken,

    /// <summary>A run writes or removes it, or was killed in that.</summary>
    Unfinished,

    /// <summary>It has the id of the set and is another one.</summary>
    Different,
}

/// <summary>The copy of a set in one store.</summary>
/// <param name="Store">The store.</param>
/// <param name="State">Its state.</param>
/// <param name="Entry">The set as that store has it, or null where there is no manifest.</param>
/// <param name="Difference">Why it is another set, or null.</param>
public sealed record SetCopy(IObjectStore Store, SetCopyState State, CatalogueEntry? Entry, BackupException? Difference = null)
{
    /// <summary>True when what is there belongs to the set.</summary>
    public bool Belongs => State is SetCopyState.Ok or SetCopyState.Damaged;
}

/// <summary>Makes one set of its copies.</summary>
internal static class MergedSet
{
    /// <summary>What the stores have under an id, in their order.</summary>
    public static IReadOnlyList<SetCopy> CopiesOf(string id, IReadOnlyList<StoreView> views)
    {
        var copies = views.Select(v => CopyIn(v, id)).OfType<SetCopy>().ToList();
        var first = copies.Where(static c => c.Belongs).OrderBy(static c => c.State).FirstOrDefault();
        return first is null ? copies : copies.ConvertAll(c => c.Belongs && !IsSame(c, first) ? Differing(id, c, first) : c);
    }

    /// <summary>The set that the copies are of: whole when they have all of it together; null where there is no set.</summary>
    public static CatalogueEntry? EntryOf(string id, IReadOnlyList<SetCopy> copies)
    {
        var same = copies.Where(static c => c.Belongs).OrderBy(static c => c.State).Select(static c => c.Entry!).ToList();
        if (same.Count == 0)
        {
            return copies.Select(static c => c.Entry).FirstOrDefault(static e => e is not null);
        }

        var stored = same.SelectMany(static e => e.Stored).GroupBy(static s => s.Key)
            .ToDictionary(static g => g.Key, g => SizeOf(same[0].Manifest!, g.Key, [.. g.Select(static s => s.Value)]));
        return new CatalogueEntry(id, same[0].Manifest, null, copies.Any(static c => c.Entry?.Pinned == true), stored);
    }

    /// <summary>True when a copy has an object of the set as long as it should be.</summary>
    public static bool Has(SetCopy copy, string name) => copy.Entry!.Stored.TryGetValue(name, out var size)
        && (copy.Entry.Manifest!.Objects.FirstOrDefault(o => o.Key == name) is not { } item || item.StoredBytes == size);

    private static long SizeOf(Manifest manifest, string name, IReadOnlyList<long> sizes) =>
        manifest.Objects.FirstOrDefault(o => o.Key == name) is { } item && sizes.Contains(item.StoredBytes) ? item.StoredBytes : sizes[0];

    private static SetCopy? CopyIn(StoreView view, string id)
    {
        if (view.Catalogue!.Sets.FirstOrDefault(s => s.Id == id) is { } entry)
        {
            var state = entry.Manifest is null ? SetCopyState.Broken : entry.IsComplete ? SetCopyState.Ok : SetCopyState.Damaged;
            return new SetCopy(view.Store, state, entry);
        }

        return view.Catalogue.Leftovers.FirstOrDefault(l => l.Id == id) is { } leftover
            ? new SetCopy(view.Store, leftover.Problem is null ? SetCopyState.Unfinished : SetCopyState.Broken, null)
            : null;
    }

    private static bool IsSame(SetCopy one, SetCopy other) =>
        one == other || ManifestFormat.Write(one.Entry!.Manifest!).AsSpan().SequenceEqual(ManifestFormat.Write(other.Entry!.Manifest!));

    private static SetCopy Differing(string id, SetCopy copy, SetCopy first) => copy with
    {
        State = SetCopyState.Different,
        Difference = new BackupException(
            ErrorKind.Verification,
            $"set {id} in store {copy.Store.Name} is another one than in store {first.Store.Name}",
            $"look at each alone (shbackup backup show {id} --from STORE); two clusters need a BACKUP_CLUSTER each"),
    };
}
