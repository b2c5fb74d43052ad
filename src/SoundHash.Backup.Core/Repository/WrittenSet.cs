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

    /// <summary>The store moved nothing for too long and was left behind; or the WAL that the set needs is not there, or not locked.</summary>
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
    internal WrittenSet Without(IReadOnlyDictionary<string, WalFileName> lacking) => Behind(
        store => lacking.TryGetValue(store, out var file) ? Behind(store, $"can't be made consistent from there yet: WAL file {file} is not there", null) : null);

    /// <summary>The same, where the WAL of copies could not be locked: whoever has the keys could delete it, and the locked copy would be of no use.</summary>
    /// <param name="problems">What went wrong, by the store's name.</param>
    internal WrittenSet Unlocked(IReadOnlyDictionary<string, BackupException> problems) => Behind(
        store => problems.TryGetValue(store, out var why) ? Behind(store, $"is not safe yet, since the WAL that it needs can't be locked: {why.Message}", why.Hint) : null);

    private WrittenSet Behind(Func<string, BackupException?> why) => this with
    {
        Copies = Copies.Select(c => c.State == CopyState.Done && why(c.Store) is { } error ? c with { State = CopyState.Behind, Error = error } : c).ToList(),
    };

    private BackupException Behind(string store, string reason, string? hint) =>
        new(ErrorKind.Storage, $"the copy of set {Manifest.Id} in store {store} {reason}", hint);

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
        var whole = Copies.Where(static c => c.State == CopyState.Done).Select(static c => c.Store).ToList();
        var hint = $"see to {string.Join(", ", missing.Select(static m => m.Error?.Hint is { } what ? $"{m.Store} ({what})" : m.Store))}, then "
            + (whole.Count > 0
                ? $"shbackup backup replicate {Manifest.Id} --from {whole[0]} --to {missing[0].Store}; the copy in {string.Join(", ", whole)} is whole and stays"
                : "run the backup again");
        return done < required
            ? new BackupException(ErrorKind.Storage, $"set {Manifest.Id} has {done} of {required} required copies: {why}", hint)
            : new BackupException(ErrorKind.Partial, $"set {Manifest.Id} has {done} of {Copies.Count} copies, of which {required} are required: {why}", hint);
    }
}
