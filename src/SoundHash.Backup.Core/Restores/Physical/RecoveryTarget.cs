using System.Globalization;
using System.Text.RegularExpressions;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>Where recovery is to end.</summary>
public enum RecoveryTargetKind
{
    /// <summary>At the end of the archived WAL.</summary>
    End,

    /// <summary>As soon as the set is consistent.</summary>
    Immediate,

    /// <summary>At a time.</summary>
    Time,

    /// <summary>At a position of the WAL.</summary>
    Lsn,

    /// <summary>At the end of a transaction.</summary>
    Xid,

    /// <summary>At a named restore point.</summary>
    Name,
}

/// <summary>What the server does at its target.</summary>
public enum RecoveryAction
{
    /// <summary>It pauses, and can be looked at.</summary>
    Pause,

    /// <summary>It takes writes, on a new timeline.</summary>
    Promote,

    /// <summary>It shuts down.</summary>
    Shutdown,
}

/// <summary>Where recovery is to end; of the values the one of its kind counts.</summary>
public sealed partial record RecoveryTarget
{
    private const string UseUtc = "write the zone: --to-time '2026-11-22 14:30:00Z', or '+01:00' in place of the Z";

    /// <summary>Which kind of target.</summary>
    public required RecoveryTargetKind Kind { get; init; }

    /// <summary>True stops just before the target and not just after it.</summary>
    public bool Exclusive { get; init; }

    /// <summary>The moment of a time target.</summary>
    public DateTimeOffset Time { get; init; }

    /// <summary>The position of an LSN target.</summary>
    public Lsn Lsn { get; init; }

    /// <summary>The transaction of an xid target, with or without its epoch.</summary>
    public ulong Xid { get; init; }

    /// <summary>The name of a restore point.</summary>
    public string Name { get; init; } = string.Empty;

    /// <summary>True when a transaction's end stops a recovery to a time: without one PostgreSQL can't know that the time has come.</summary>
    internal bool IsProvenBy(DateTimeOffset end) => Exclusive ? Time <= end : Time < end;

    /// <summary>What to do when the archived WAL ends before this target, and nothing is missing in it.</summary>
    internal string HintBeyondArchive(DateTimeOffset now) => Kind != RecoveryTargetKind.Time
        ? "without a target recovery goes to the end of the archived WAL; if the server runs and that moment is not archived yet, "
            + "SELECT pg_switch_wal() on it brings it, and shbackup wal-archive status shows when it has come"
        : Time > now
        ? $"that time is in the future: this machine's clock says {PostgresTime(now)}; choose a moment that has passed, or leave the target out, "
            + "which recovers to the end of the archived WAL"
        : "leave the target out, which recovers to the end of the archived WAL; only another commit after that moment makes it reachable, "
            + "once it is archived too (SELECT pg_switch_wal() hurries it; shbackup wal-archive status shows when it has come)";

    /// <summary>PostgreSQL's setting of this target and its value; null for the end of the archive.</summary>
    public (string Name, string Value)? Setting => Kind switch
    {
        RecoveryTargetKind.Immediate => ("recovery_target", "immediate"),
        RecoveryTargetKind.Time => ("recovery_target_time", PostgresTime(Time)),
        RecoveryTargetKind.Lsn => ("recovery_target_lsn", Lsn.ToString()),
        RecoveryTargetKind.Xid => ("recovery_target_xid", Xid.ToString(CultureInfo.InvariantCulture)),
        RecoveryTargetKind.Name => ("recovery_target_name", Name),
        _ => null,
    };

    /// <summary>A time as PostgreSQL reads it whatever its time zone is.</summary>
    public static string PostgresTime(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.ffffff'+00'", CultureInfo.InvariantCulture);

    /// <summary>Reads a time; one without a zone is refused, since it could be read in two ways.</summary>
    /// <exception cref="BackupException">It is no time, or has no zone.</exception>
    public static DateTimeOffset ParseTime(string text, TimeZoneInfo local)
    {
        var match = TimeForm().Match(text.Trim());
        if (!match.Success || !DateTime.TryParse(
            $"{match.Groups["date"].Value}T{match.Groups["time"].Value}", CultureInfo.InvariantCulture, DateTimeStyles.None, out var clock))
        {
            throw new BackupException(ErrorKind.Usage, $"--to-time '{text}' is no time", UseUtc);
        }

        if (match.Groups["zone"].Value is { Length: > 0 } zone)
        {
            return new DateTimeOffset(clock, OffsetOf(zone, text)).ToUniversalTime();
        }

        var utc = new DateTimeOffset(clock, TimeSpan.Zero);
        var here = new DateTimeOffset(clock, local.GetUtcOffset(clock));
        throw here == utc ? new BackupException(
            ErrorKind.Usage,
            $"--to-time '{text}' has no time zone: {Show(utc)}, which is UTC and local time here, or another one's?",
            $"say which: --to-time '{Show(utc)}', or '+01:00' in place of the Z") : new BackupException(
            ErrorKind.Usage,
            $"--to-time '{text}' has no time zone: it could be {Show(utc)} (UTC) or {Show(here)} (local time here, {local.Id})",
            $"say which: --to-time '{Show(utc)}' or --to-time '{Show(here)}'");
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        var side = Exclusive ? "just before " : string.Empty;
        return Kind switch
        {
            RecoveryTargetKind.Immediate => "the moment at which the set is consistent",
            RecoveryTargetKind.Time => $"{side}{PostgresTime(Time)}",
            RecoveryTargetKind.Lsn => $"{side}LSN {Lsn}",
            RecoveryTargetKind.Xid => $"{side}the end of transaction {Xid}",
            RecoveryTargetKind.Name => $"restore point '{Name}'",
            _ => "the end of the archived WAL",
        };
    }

    private static TimeSpan OffsetOf(string zone, string text)
    {
        if (zone is "Z" or "z" or "UTC")
        {
            return TimeSpan.Zero;
        }

        var digits = zone[1..].Replace(":", string.Empty, StringComparison.Ordinal);
        var hours = int.Parse(digits[..2], CultureInfo.InvariantCulture);
        var minutes = digits.Length > 2 ? int.Parse(digits[2..], CultureInfo.InvariantCulture) : 0;
        if (hours > 14 || minutes > 59 || (hours == 14 && minutes > 0))
        {
            throw new BackupException(ErrorKind.Usage, $"--to-time '{text}' has an impossible time zone", UseUtc);
        }

        var offset = new TimeSpan(hours, minutes, 0);
        return zone[0] == '-' ? -offset : offset;
    }

    private static string Show(DateTimeOffset time) => time.ToString(
        time.Offset == TimeSpan.Zero ? "yyyy-MM-dd HH:mm:ss.FFFFFF'Z'" : "yyyy-MM-dd HH:mm:ss.FFFFFFzzz", CultureInfo.InvariantCulture);

    [GeneratedRegex(
        @"\A(?<date>\d{4}-\d\d-\d\d)[ T](?<time>\d\d:\d\d(:\d\d(\.\d{1,6})?)?) ?(?<zone>[Zz]|UTC|[+-]\d\d(:?\d\d)?)?\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex TimeForm();
}
