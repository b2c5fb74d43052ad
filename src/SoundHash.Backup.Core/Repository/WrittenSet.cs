using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository;

/// <summary>What became of the copy of a set in one store.</summary>
public enum CopyState
{
    /// <summary>It is there, whole.</summary>
    Done,

    /// <summary>The store failed.</summary>
    Failed,

    /// <summary>The store moved nothing for too long and was left behind.</summary>
    Behind,
}

/// <summary>The copy of a set in one store.</summary>
/// <param name="Store">The store's name.</param>
/// <param name="State">What became of it.</param>
/// <param name="Bytes">Stored bytes, 0 where it is not there.</param>
/// <param name="Seconds">From the first object's beginning to the copy's commit, 0 where it is not there.</param>
/// <param name="Error">Why it is not there, or null.</param>
public sealed record CopyOutcome(string Store, CopyState State, long Bytes, double Seconds, BackupException? Error);

/// <summary>A set that exists, in one store at least.</summary>
/// <param name="Manifest">Its manifest.</param>
/// <param name="Copies">Every store that it was to go to.</param>
public sealed record WrittenSet(Manifest Manifest, IReadOnlyList<CopyOutcome> Copies)
{
    /// <summary>The same, where stores lack WAL: a base backup there is of no use by itself, until they have it.</summary>
    /// <param name="lacking">The first file that a store lacks, by the store's name.</param>
    internal WrittenSet Without(IReadOnlyDictionary<string, WalFileName> lacking) => this with
    {
        Copies = Copies.Select(c => c.State == CopyState.Done && lacking.TryGetValue(c.Store, out var file) ? c with { State = CopyState.Behind, Error = Lacks(c.Store, file) } : c).ToList(),
    };

    private BackupException Lacks(string store, WalFileName file) => new(
        ErrorKind.Storage,
        $"the copy of set {Manifest.Id} in store {store} can't be made consistent from there yet: WAL file {file} is not there",
        $"shbackup backup replicate {Manifest.Id} --from STORE --to {store}");

    /// <summary>What is wrong with the number of copies: fewer than required, or an optional one missing; else null.</summary>
    public BackupException? Lack(int required)
    {
        var missing = Copies.Where(static c => c.State != CopyState.Done).ToList();
        if (missing.Count == 0)
        {
            return null;
        }

        var done = Copies.Count - missing.Count;
        var why = string.Join("; ", missing.Select(static m => m.Error?.Message ?? $"store {m.Store} has none"));
        var hint = $"the copy in {string.Join(", ", Copies.Where(static c => c.State == CopyState.Done).Select(static c => c.Store))} is whole and stays;"
            + $" see to {string.Join(", ", missing.Select(static m => m.Store))}, then run the backup again";
        return done < required
            ? new BackupException(ErrorKind.Storage, $"set {Manifest.Id} has {done} of {required} required copies: {why}", hint)
            : new BackupException(ErrorKind.Partial, $"set {Manifest.Id} has {done} of {Copies.Count} copies, of which {required} are required: {why}", hint);
    }
}
