using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>Which sets a physical restore may choose among.</summary>
internal static class SetCandidates
{
    private const string SeeSets = "shbackup backup list shows the sets";

    /// <summary>The sets of one cluster that a restore may choose among, the newest first.</summary>
    /// <param name="catalogue">All sets.</param>
    /// <param name="id">The one that was asked for, or null.</param>
    /// <param name="places">Where the sets are, for messages.</param>
    /// <param name="warn">Told of sets that can't be used and are passed over.</param>
    /// <exception cref="BackupException">There is none, or the choice is not safe.</exception>
    public static IReadOnlyList<Manifest> Of(Catalogue catalogue, string? id, string places, Action<string> warn)
    {
        if (id is not null)
        {
            var named = catalogue.Find(id);
            return named.Kind == SetKind.Physical ? [named] : throw new BackupException(
                ErrorKind.Usage,
                $"set {named.Id} is a logical one, of database \"{named.Database}\": it has no data directory",
                $"shbackup restore --backup {named.Id} --target-db NAME");
        }

        var physical = catalogue.Sets.Where(static s => s.Manifest is { Kind: SetKind.Physical }).ToList();
        var own = physical.FirstOrDefault()?.Manifest!.SystemIdentifier;
        var others = physical.Where(s => s.Manifest!.SystemIdentifier != own).ToList();
        physical = physical.Except(others).ToList();
        if (others.Count > 0 && others[0].Manifest!.Started > physical[^1].Manifest!.Started)
        {
            // Neither came after the other: both are backed up.
            throw new BackupException(
                ErrorKind.Usage,
                $"the physical sets come from several clusters at once (system identifiers "
                + $"{string.Join(", ", others.Select(static s => s.Manifest!.SystemIdentifier).Prepend(own).Distinct().Select(static s => s ?? "unknown"))})",
                $"choose a set yourself with --backup ID; {SeeSets}");
        }

        if (others.Count > 0)
        {
            warn($"the sets of the newest cluster are meant, system identifier {own}; {others.Count} older physical sets are of "
                + $"what was there before: --backup ID chooses one of them; {SeeSets}");
        }

        // What is broken may be all that there is of the cluster that is meant: only sets that are newer show that it is not.
        var good = physical.Where(static s => s.IsComplete && s.Manifest!.Physical!.DamagedPages.Count == 0)
            .Select(static s => s.Manifest!).ToList();
        catalogue.EnsureNewest(good.FirstOrDefault(), "the newest good base backup", warn);
        return good.Count > 0 ? good : throw new BackupException(
            ErrorKind.Failed,
            physical.Count == 0 ? $"there is no physical set in {places}" : $"none of the {physical.Count} physical sets is good (whole, without damaged pages)",
            physical.Count == 0 ? "correct BACKUP_DIR or BACKUP_CLUSTER if they are elsewhere; shbackup backup --kind physical makes one" : $"choose one with --backup ID all the same; {SeeSets}");
    }
}
