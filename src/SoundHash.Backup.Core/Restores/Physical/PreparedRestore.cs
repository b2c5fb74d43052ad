using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>A physical restore that is ready to begin: everything that can be known before was looked at.</summary>
public sealed class PreparedRestore
{
    internal PreparedRestore(
        PhysicalRestoreOptions options,
        ChosenRecovery chosen,
        PhysicalContents contents,
        TargetDirectory target,
        IReadOnlyList<TablespaceRecord> tablespaces,
        OldWal oldWal,
        string? savedWal)
    {
        Options = options;
        Chosen = chosen;
        Contents = contents;
        Target = target;
        Tablespaces = tablespaces;
        OldWal = oldWal;
        SavedWal = savedWal;
        SystemIdentifier = SystemOf(chosen.Set);
        Spool = WalSpool.Of(options.Own.Spool, SystemIdentifier, target.Path);
        RestoreCommand = WalCommandText.Restore(options.Program, options.EnvironmentFile, Spool.FetchFolder, options.WalFrom);
    }

    /// <summary>The set.</summary>
    public Manifest Set => Chosen.Set;

    /// <summary>The data directory.</summary>
    public string TargetDirectory => Target.Path;

    /// <summary>Bytes that will be read.</summary>
    public long Bytes => Contents.Files.Sum(static f => f.Size);

    /// <summary>What a person has to agree to before it begins; null when nothing is destroyed.</summary>
    public string? Question => IsInPlace
        ? $"{TargetDirectory} has data{And(Tablespaces.Where(t => TablespacePlan.IsInPlace(TargetDirectory, t)))}. Put set {Set.Id} of {Set.Started:yyyy-MM-dd HH:mm:ss}Z in its place, and remove what differs?"
        : null;

    /// <summary>True when something is in the directory that may be kept.</summary>
    internal bool IsInPlace => Target.Content == TargetContent.Filled;

    /// <summary>WAL of the old data directory that the archive lacks.</summary>
    internal OldWal OldWal { get; }

    /// <summary>Where it is saved; null when there is none.</summary>
    internal string? SavedWal { get; }

    /// <summary>PostgreSQL's programs for the set's server; null when it is not to be started.</summary>
    internal PgTools? ServerTools { get; init; }

    internal PhysicalRestoreOptions Options { get; }

    internal ChosenRecovery Chosen { get; }

    internal PhysicalContents Contents { get; }

    internal TargetDirectory Target { get; }

    internal IReadOnlyList<TablespaceRecord> Tablespaces { get; }

    internal ulong SystemIdentifier { get; }

    internal WalSpool Spool { get; }

    internal string RestoreCommand { get; }

    private static string And(IEnumerable<TablespaceRecord> spaces) => string.Concat(spaces.Select(static t => $", and so has its tablespace {t.Location}"));

    internal static ulong SystemOf(Manifest set) =>
        ulong.TryParse(set.SystemIdentifier, NumberStyles.None, CultureInfo.InvariantCulture, out var system)
            ? system
            : throw new BackupException(ErrorKind.Verification, $"set {set.Id} has no system identifier, so that its WAL can't be found");
}
