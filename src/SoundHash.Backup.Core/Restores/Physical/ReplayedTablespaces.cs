using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Tablespaces that replay makes anew. It takes the directory that CREATE TABLESPACE named, whatever is in there, and no mapping counts for
/// it (create_tablespace_directories, src/backend/commands/tablespace.c): beside its original, a copy would write into the original's.
/// </summary>
/// <param name="scan">Reads the WAL.</param>
/// <param name="contents">The set.</param>
/// <param name="target">The data directory to be.</param>
internal sealed class ReplayedTablespaces(WalScan scan, PhysicalContents contents, string target)
{
    // More than the record at the target has: it is replayed too.
    private const int RecordBytes = 64 * 1024;

    /// <summary>Refuses a recovery that would make a tablespace in a directory that the original, or another copy, has on this machine.</summary>
    /// <exception cref="BackupException">It would, or that can't be told.</exception>
    public async Task EnsureHarmlessAsync(
        ChosenRecovery chosen, RecoveryTarget until, IReadOnlyList<TablespaceRecord> placed, CancellationToken cancel)
    {
        var others = new Dictionary<uint, string>();
        foreach (var (oid, place) in Neighbours(PreparedRestore.SystemOf(chosen.Set)).SelectMany(TablespacesOf))
        {
            // One that stays where it is is the set's own matter: its place has to be free.
            if (Directory.Exists(place) && !placed.Any(p => p.Oid == oid && p.Location == place))
            {
                others[oid] = place;
            }
        }

        if (others.Count == 0 || (scan.IsPossible && !await scan.CreatesTablespaceAsync(SpanOf(chosen, until), chosen.Facts.Start, others.Keys, cancel)))
        {
            return;
        }

        var (first, directory) = others.First();
        throw new BackupException(
            ErrorKind.Failed,
            string.Create(
                CultureInfo.InvariantCulture,
                $"the recovery {(scan.IsPossible ? "makes" : "may make (pg_waldump of its version is missing here, to tell)")} tablespace {first}, which came after set ")
            + $"{chosen.Set.Id} began, in the directory of its original, {directory}, and would destroy what is in there; nothing was changed",
            "restore on another machine, or in a container that does not have that directory; or with a physical backup from after CREATE TABLESPACE "
            + "(--backup ID), which --tablespace OLD=NEW can place");
    }

    // Up to where the target is by its position; where it is by time, say, the end of the WAL may not be reached, and counts.
    private static WalSpan SpanOf(ChosenRecovery chosen, RecoveryTarget until) => until.Kind switch
    {
        RecoveryTargetKind.Immediate => chosen.Span.UpTo(chosen.Facts.Stop),
        RecoveryTargetKind.Lsn => chosen.Span.UpTo(new Lsn(until.Lsn.Value + RecordBytes)),
        _ => chosen.Span,
    };

    // The original where the set says that it was, and whatever server of the cluster runs here.
    private IEnumerable<string> Neighbours(ulong system) => ServerSign.Servers().DistinctBy(static s => s.Place)
        .Select(static s => string.Create(CultureInfo.InvariantCulture, $"/proc/{s.Process}/cwd"))
        .Prepend(contents.DataDirectory)
        .Where(d => d.Length > 0 && IsOf(system, d) && LocalFiles.Identity(d) != LocalFiles.Identity(target));

    private static bool IsOf(ulong system, string data)
    {
        try
        {
            // Whoever has the directory could hold us by a pipe in the file's place.
            return LocalFiles.Look(Path.Combine(data, ControlFile.RelativePath), follow: true)?.Kind == FileKind.File
                && ControlFile.Read(data).SystemIdentifier == system;
        }
        catch (Exception e) when (e is BackupException or IOException)
        {
            // Of another user, who has no tablespace that ours could write to; or there is none.
            return false;
        }
    }

    private static IEnumerable<(uint Oid, string Place)> TablespacesOf(string data)
    {
        try
        {
            return Directory.GetFileSystemEntries(Path.Combine(data, "pg_tblspc"))
                .Where(static e => new FileInfo(e).LinkTarget is not null)
                .Select(static e => (uint.Parse(Path.GetFileName(e), CultureInfo.InvariantCulture), new FileInfo(e).LinkTarget!)).ToList();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            // It went away meanwhile.
            return [];
        }
    }
}
