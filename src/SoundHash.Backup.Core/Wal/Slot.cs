using System.Globalization;
using System.Text.RegularExpressions;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Wal;

/// <summary>How a replication slot and the stream from it are, as the server sees them.</summary>
/// <param name="Exists">The slot is there.</param>
/// <param name="Streaming">Somebody streams from it.</param>
/// <param name="RestartLsn">The server keeps its log from here on for us; null for a slot that was never used, or that is lost.</param>
/// <param name="WalStatus">reserved, extended, unreserved or lost.</param>
/// <param name="Written">Up to here the receiver has written; null before it has said so.</param>
/// <param name="Server">Up to here the server has flushed its log, and so may have sent it.</param>
public sealed record SlotState(bool Exists, bool Streaming, Lsn? RestartLsn, string? WalStatus, Lsn? Written, Lsn? Server)
{
    /// <summary>The server has removed WAL that the slot was to keep: the stream can't go on.</summary>
    public bool IsLost => Exists && WalStatus == "lost";
}

/// <summary>A physical replication slot: makes the server keep the log that we have not received.</summary>
/// <param name="name">Its name, and the application name of what streams from it.</param>
public sealed partial class Slot(string name)
{
    private const int LongestName = 63;

    // The walsender that the slot says it is in use by is ours, whatever its name.
    private const string Query =
        """
        SELECT s.slot_name IS NOT NULL, r.pid IS NOT NULL, s.restart_lsn::text, s.wal_status, r.write_lsn::text,
               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_flush_lsn() END::text
        FROM (SELECT 1) AS one
        LEFT JOIN pg_replication_slots AS s ON s.slot_name = $1
        LEFT JOIN pg_stat_replication AS r ON r.pid = s.active_pid
        """;

    /// <summary>Its name.</summary>
    public string Name => name;

    /// <summary>The default name for a cluster: a slot's name has lower-case letters, digits and '_' only.</summary>
    public static string DefaultName(string? cluster)
    {
        var readable = (cluster ?? "wal").ToLowerInvariant().Select(static c => char.IsAsciiLetterOrDigit(c) ? c : '_').ToArray();
        var whole = $"shbackup_{new string(readable)}";
        return whole.Length > LongestName ? whole[..LongestName] : whole;
    }

    /// <summary>Checks a name that a person gave.</summary>
    /// <exception cref="BackupException">PostgreSQL would not take it.</exception>
    public static Slot Of(string name) => Form().IsMatch(name) ? new Slot(name) : throw new BackupException(
        ErrorKind.Usage, $"'{name}' is no name for a replication slot", "it may hold lower-case letters, digits and '_', 63 of them at most");

    /// <summary>Makes it unless it is there, with all WAL reserved that the server's next checkpoint would remove.</summary>
    /// <returns>True when it is new.</returns>
    public async Task<bool> EnsureAsync(Session session, CancellationToken cancel)
    {
        if ((await ReadAsync(session, cancel)).Exists)
        {
            return false;
        }

        await session.TextAsync("SELECT slot_name::text FROM pg_create_physical_replication_slot($1::name, true)", cancel, name);
        return true;
    }

    /// <summary>Drops it; false when it was not there.</summary>
    public async Task<bool> DropAsync(Session session, CancellationToken cancel)
    {
        if (!(await ReadAsync(session, cancel)).Exists)
        {
            return false;
        }

        await session.TextAsync("SELECT 'dropped' FROM (SELECT pg_drop_replication_slot($1::name)) AS d", cancel, name);
        return true;
    }

    /// <summary>Looks at it.</summary>
    public async Task<SlotState> ReadAsync(Session session, CancellationToken cancel)
    {
        var rows = await session.QueryAsync(
            Query,
            static r =>
            {
                Lsn? At(int column) => r.IsDBNull(column) ? null : Lsn.Parse(r.GetString(column));
                return new SlotState(r.GetBoolean(0), r.GetBoolean(1), At(2), r.IsDBNull(3) ? null : r.GetString(3), At(4), At(5));
            },
            cancel,
            name);
        return rows[0];
    }

    /// <summary>Makes sure that the role may see how far the stream has come: to others, the server shows nothing of it.</summary>
    /// <exception cref="BackupException">It may not.</exception>
    public static async Task EnsureVisibleAsync(Session session, CancellationToken cancel)
    {
        if (await session.TextAsync("SELECT pg_has_role('pg_read_all_stats', 'USAGE')::text", cancel) != "true")
        {
            throw new BackupException(
                ErrorKind.Configuration,
                string.Create(
                    CultureInfo.InvariantCulture, $"the role \"{session.Settings.User}\" may not see how far the stream of WAL has come"),
                $"GRANT pg_read_all_stats TO {SqlText.Identifier(session.Settings.User)}; the role also needs REPLICATION");
        }
    }

    [GeneratedRegex(@"\A[a-z0-9_]{1,63}\z", RegexOptions.None, 1000)]
    private static partial Regex Form();
}
