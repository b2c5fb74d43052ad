using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>What a physical restore does, and what a person does after it, in words.</summary>
internal static class PhysicalSteps
{
    /// <summary>What it would do, in order.</summary>
    public static IEnumerable<string> Of(PreparedRestore ready)
    {
        var (options, set) = (ready.Options, ready.Set);
        var volumes = set.Objects.Count(static o => o.Role == ObjectRole.Volume);
        if (ready.OldWal.Files.Count > 0)
        {
            yield return $"save {ready.OldWal.Files.Count} files of the old pg_wal that the archive lacks in {ready.SavedWal}; recovery finds them too";
        }

        if (ready.IsInPlace)
        {
            yield return $"remove {Postgres.ControlFile.RelativePath} and all that is not in the set, and keep files that are as they should be";
        }

        yield return $"write {ready.Contents.Files.Count} files out of {volumes} volumes into {ready.TargetDirectory}, every hash checked";
        foreach (var space in ready.Tablespaces)
        {
            yield return $"put tablespace {space.Name} into {space.Location}";
        }

        foreach (var file in ready.Contents.OutsideFiles)
        {
            yield return $"bring {file} back: into {OutsideConfiguration.Folder} of the data directory, unless its own place is free again";
        }

        yield return $"set restore_command{(options.KeepArchiving ? string.Empty : ", archive_mode = off")} and "
            + $"{(options.Standby is null ? "recovery.signal" : "standby.signal")}, and take old recovery settings out";
        yield return $"sync everything, and write {Postgres.ControlFile.RelativePath} last";
        yield return $"{(options.Start ? "start the server, and follow it" : "when the server is started")}: it replays up to {ready.Chosen.Span.Segments.Count} segments of WAL; {Goal(ready)}";
    }

    /// <summary>What a person does next.</summary>
    public static IReadOnlyList<string> Next(PreparedRestore ready, OutsideConfiguration outside, bool isStarted = false)
    {
        var (options, directory) = (ready.Options, ready.TargetDirectory);
        var next = new List<string>();
        var configuration = outside.Placed.FirstOrDefault(static p => Path.GetFileName(p.From) == "postgresql.conf").To;
        if (!isStarted)
        {
            next.Add(Start(ready, configuration));
        }

        if (options is { Standby: null, Target.Kind: not RecoveryTargetKind.End, Action: RecoveryAction.Pause })
        {
            next.Add("look at the data while it pauses; SELECT pg_wal_replay_resume() ends the recovery, and the server takes writes");
        }

        if (ready.SavedWal is { } saved)
        {
            next.Add(
                $"{saved} has WAL that no archive has: shbackup wal-archive push FILE archives a whole segment of it, for a recovery that goes further");
        }

        if (!options.KeepArchiving)
        {
            next.Add(
                "archiving is off in this copy (archive_mode = off in postgresql.auto.conf), so that it can't write into the archive of its "
                + $"original; when it takes the original's place: ALTER SYSTEM SET archive_mode = 'on'; {Resets(ready)}restart it, and take a new physical backup");
        }

        return next;
    }

    private static string Start(PreparedRestore ready, string? configuration) => configuration is null
        ? $"start the server as the owner of its files: pg_ctl -D {ShellText.Word(ready.TargetDirectory)}{Aside(ready)} start; {Goal(ready)}"
        : $"start the server as the owner of its files, with {configuration} as its config_file, in which data_directory, hba_file and "
            + $"ident_file may have to be set to the new places; {Goal(ready)}";

    // One that names its data directory names the original's: -D alone would start a server there. A shell reads what -o says.
    private static string Aside(PreparedRestore ready)
    {
        var file = Path.Combine(ready.TargetDirectory, "postgresql.conf");
        return File.Exists(file) && File.ReadLines(file).Any(static l => l.TrimStart().StartsWith("data_directory", StringComparison.OrdinalIgnoreCase))
            ? $" -o {ShellText.Word($"-c data_directory={ShellText.Word(ready.TargetDirectory)}")}"
            : string.Empty;
    }

    // They are left where the target was, and would end the next recovery of this directory there.
    private static string Resets(PreparedRestore ready) => string.Concat(
        RecoverySettings.Make(ready)
            .Where(static s => s.Name == "recovery_prefetch" || (s.Name.StartsWith("recovery_target", StringComparison.Ordinal) && s.Value.Length > 0))
            .Select(static s => $"ALTER SYSTEM RESET {s.Name}; "));

    private static string Goal(PreparedRestore ready)
    {
        var options = ready.Options;
        return options switch
        {
            { Standby: not null } => $"it follows its primary as a standby",
            { Target.Kind: RecoveryTargetKind.End } => $"it replays to the end of the WAL of timeline {ready.Chosen.Timeline}, and takes writes",
            _ => $"it replays to {options.Target}, and then {options.Action switch
            {
                RecoveryAction.Promote => "takes writes",
                RecoveryAction.Shutdown => "shuts down",
                _ => "pauses",
            }}",
        };
    }
}
