using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// The recovery part of postgresql.auto.conf, which PostgreSQL reads after every other file: what an earlier recovery left there
/// goes, and ours comes.
/// </summary>
internal static partial class RecoverySettings
{
    /// <summary>The file, in the data directory.</summary>
    public const string File = "postgresql.auto.conf";

    // The first version that reads ahead in the WAL.
    private const int LooksAhead = 15;

    private const string Mark = "# recovery settings of shbackup restore";

    // Of a kind that is not ours an old value would be a second target, or the wrong one: each is emptied. PostgreSQL applies them
    // in this order, and an empty one after a set one would be an error (assign_recovery_target_… of guc.c, xlogrecovery.c).
    private static readonly string[] Targets =
        ["recovery_target", "recovery_target_name", "recovery_target_xid", "recovery_target_lsn", "recovery_target_time"];

    /// <summary>The new content of the file.</summary>
    /// <param name="old">Its content in the set.</param>
    /// <param name="ready">What is to be restored.</param>
    public static byte[] Rewrite(ReadOnlySpan<byte> old, PreparedRestore ready)
    {
        // Byte for byte what it was: its encoding is whatever the server had.
        var kept = Encoding.Latin1.GetString(old).Split('\n')
            .Where(l => l.Length > 0 && l != Mark && !IsOld(l, ready.Options.KeepArchiving));
        var lines = Make(ready).Select(static p => $"{p.Name} = {ConfText.Quote(p.Value)}");
        var before = string.Concat(kept.Select(static l => $"{l}\n"));
        return [.. Encoding.Latin1.GetBytes(before), .. Encoding.UTF8.GetBytes($"{Mark}\n{string.Join('\n', lines)}\n")];
    }

    /// <summary>What PostgreSQL is told for one recovery.</summary>
    public static IReadOnlyList<(string Name, string Value)> Make(PreparedRestore ready)
    {
        var options = ready.Options;
        var target = options.Target.Setting;
        var settings = new List<(string, string)>();
        if (!options.KeepArchiving)
        {
            settings.Add(("archive_mode", "off"));
        }

        settings.Add(("restore_command", ready.RestoreCommand));
        settings.AddRange(Targets.Where(t => t != target?.Name).Select(static t => (t, string.Empty)));
        if (target is { } own)
        {
            settings.Add(own);
            settings.Add(("recovery_target_inclusive", options.Target.Exclusive ? "off" : "on"));
            settings.Add(("recovery_target_action", options.Action.Word()));
        }

        // What postgresql.conf may have of the original: commands that remove from its archive, a delay, the slot of another standby.
        settings.Add(("archive_cleanup_command", string.Empty));
        settings.Add(("recovery_end_command", string.Empty));
        settings.Add(("primary_slot_name", string.Empty));
        settings.Add(("recovery_min_apply_delay", "0"));
        if (options.Standby is not null || (target is not null && options.Action == RecoveryAction.Pause))
        {
            // Without it a pause is a shutdown.
            settings.Add(("hot_standby", "on"));
        }

        // A standby goes on to whatever timeline its primary will be on.
        settings.Add(("recovery_target_timeline", options is { Standby: not null, Timeline: null }
            ? "latest"
            : ready.Chosen.Timeline.ToString(CultureInfo.InvariantCulture)));
        if (ready.Chosen.Span.Beyond is not null && ready.Set.ServerMajor >= LooksAhead)
        {
            // Close to its target it would ask for the segment that is missing behind that.
            settings.Add(("recovery_prefetch", "off"));
        }

        if (options.Standby is { } primary)
        {
            settings.Add(("primary_conninfo", primary));
        }

        return settings;
    }

    private static bool IsOld(string line, bool keepArchiving) =>
        Setting().Match(line) is { Success: true } match && (!match.Groups["archiving"].Success || !keepArchiving);

    [GeneratedRegex(
        @"^\s*(restore_command|archive_cleanup_command|recovery_end_command|recovery_target\w*|recovery_min_apply_delay"
        + @"|primary_conninfo|primary_slot_name|promote_trigger_file|standby_mode|trigger_file|(?<archiving>archive_mode))(\s|=)",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Setting();
}
