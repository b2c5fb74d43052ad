using System.Text.RegularExpressions;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>What PostgreSQL hands to archive_command and asks of restore_command.</summary>
public enum WalFileKind
{
    /// <summary>A whole segment.</summary>
    Segment,

    /// <summary>The last, unfinished segment of a timeline that ended.</summary>
    Partial,

    /// <summary>The history file of a base backup.</summary>
    BackupHistory,

    /// <summary>The history of a timeline.</summary>
    TimelineHistory,
}

/// <summary>A file name of pg_wal, checked before it ever becomes part of a path or key.</summary>
/// <param name="Name">As PostgreSQL gave it.</param>
/// <param name="Kind">What it is.</param>
public sealed partial record WalFileName(string Name, WalFileKind Kind)
{
    /// <summary>The timeline's eight digits.</summary>
    public string Timeline => Name[..8];

    /// <summary>The timeline as a number.</summary>
    public uint TimelineNumber => Convert.ToUInt32(Timeline, 16);

    /// <summary>True when what this one belongs to comes after a segment on the segment's own timeline.</summary>
    public bool IsLaterThan(WalFileName segment) =>
        Kind != WalFileKind.TimelineHistory && Timeline == segment.Timeline && string.CompareOrdinal(Name[..24], segment.Name) > 0;

    /// <summary>Reads a name.</summary>
    /// <exception cref="BackupException">PostgreSQL has no such file.</exception>
    public static WalFileName Parse(string name) => TryParse(name) ?? throw new BackupException(
        ErrorKind.Usage,
        $"'{name}' is no name of a WAL file",
        "PostgreSQL gives it: use %f and %p in archive_command and restore_command (shbackup wal-archive generate-config)");

    /// <summary>Reads a name; null when PostgreSQL has no such file.</summary>
    public static WalFileName? TryParse(string name) => Form().Match(name) switch
    {
        { Success: false } => null,
        { } m when m.Groups["history"].Success => new(name, WalFileKind.TimelineHistory),
        { } m when m.Groups["partial"].Success => new(name, WalFileKind.Partial),
        { } m when m.Groups["backup"].Success => new(name, WalFileKind.BackupHistory),
        _ => new WalFileName(name, WalFileKind.Segment),
    };

    /// <inheritdoc/>
    public override string ToString() => Name;

    // \z and not $, which also matches before a line feed at the end.
    [GeneratedRegex(
        @"\A([0-9A-F]{8}(?<history>\.history)|[0-9A-F]{24}((?<partial>\.partial)|(?<backup>\.[0-9A-F]{8}\.backup))?)\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Form();
}
