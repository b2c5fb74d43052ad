using System.Globalization;
using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Npgsql;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// A physical set as docs/formats.md has it, without the files of a data directory: for verbs that look at manifests and WAL
/// only. Its positions are those of a real pg_backup_start and pg_backup_stop.
/// </summary>
public static class HandMadeSet
{
    /// <summary>Makes one and returns the names of the first and the last segment that make it consistent.</summary>
    public static async Task<(string First, string Last)> AddAsync(ArchivingCluster cluster, string id, DateTimeOffset started)
    {
        await using var connection = await cluster.OpenAsync("postgres");
        var (startCall, stopCall) = connection.PostgreSqlVersion.Major < 15
            ? ("pg_start_backup('test', true, false)", "pg_stop_backup(false, true)")
            : ("pg_backup_start('test', fast => true)", "pg_backup_stop(wait_for_archive => true)");
        var start = (await TextAsync(connection, $"SELECT {startCall}::text"))!;
        await TextAsync(connection, "CREATE TABLE IF NOT EXISTS backed_up (n int); INSERT INTO backed_up VALUES (1); SELECT 'x'");
        var stop = (await TextAsync(connection, $"SELECT lsn::text FROM {stopCall}"))!;
        var first = (await TextAsync(connection, $"SELECT pg_walfile_name('{start}')"))!;
        var last = (await TextAsync(connection, $"SELECT pg_walfile_name('{Before(stop)}')"))!;

        var volume = Encoding.ASCII.GetBytes("not really a volume");
        var sum = Convert.ToHexStringLower(SHA256.HashData(volume));
        JsonObject facts = new()
        {
            ["timeline"] = Convert.ToInt32(first[..8], 16),
            ["startLsn"] = start,
            ["stopLsn"] = stop,
            ["walSegmentBytes"] = int.Parse((await TextAsync(connection, "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"))!, CultureInfo.InvariantCulture),
            ["startNextXid"] = 1,
            ["stopNextXid"] = 2,
            ["pageChecksums"] = false,
            ["files"] = 0,
        };
        JsonObject item = new()
        {
            ["key"] = "volume-0000.tar",
            ["role"] = "volume",
            ["storedBytes"] = volume.Length,
            ["storedSha256"] = sum,
            ["plainBytes"] = volume.Length,
            ["plainXxHash128"] = Convert.ToHexStringLower(XxHash128.Hash(volume)),
            ["compression"] = "none",
            ["encryption"] = "none",
        };
        JsonObject manifest = new()
        {
            ["formatVersion"] = 1,
            ["id"] = id,
            ["runId"] = "0123456789abcdef",
            ["name"] = id,
            ["kind"] = "physical",
            ["database"] = string.Empty,
            ["tier"] = "standard",
            ["started"] = started.ToString("o"),
            ["stopped"] = started.AddMinutes(1).ToString("o"),
            ["expires"] = started.AddDays(30).ToString("o"),
            ["toolVersion"] = "0.1.0",
            ["serverVersion"] = connection.PostgreSqlVersion.ToString(),
            ["dumpVersion"] = string.Empty,
            ["systemIdentifier"] = await TextAsync(connection, "SELECT system_identifier::text FROM pg_control_system()"),
            ["databaseBytes"] = 0,
            ["objects"] = new JsonArray(item),
            ["physical"] = facts,
        };
        var folder = Path.Combine(cluster.Site, "backups", "sets", id);
        Directory.CreateDirectory(folder);
        await File.WriteAllBytesAsync(Path.Combine(folder, "volume-0000.tar"), volume);
        await File.WriteAllTextAsync(Path.Combine(folder, "SHA256SUMS"), $"{sum}  volume-0000.tar\n");
        await File.WriteAllTextAsync(Path.Combine(folder, "manifest.json"), SetEditor.WithChecksum(manifest));
        await ArchivingCluster.GiveToPostgresAsync(Path.Combine(cluster.Site, "backups"));
        return (first, last);
    }

    // A position at the beginning of a segment ends the one before; pg_lsn can't be counted with before PostgreSQL 14.
    private static string Before(string lsn)
    {
        var parts = lsn.Split('/').Select(static p => ulong.Parse(p, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToList();
        var before = (parts[0] << 32) + parts[1] - 1;
        return string.Create(CultureInfo.InvariantCulture, $"{before >> 32:X}/{before & 0xFFFFFFFF:X}");
    }

    private static async Task<string?> TextAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }
}
