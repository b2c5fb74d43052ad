using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Npgsql;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// A cluster that lived on three timelines under load, archived all of it, and is gone. Twice a copy of it was recovered to the
/// middle of a timeline, promoted, and wrote to the same archive, while the old server had gone on for a while behind that point.
/// </summary>
public sealed partial class ForkedCluster : ArchivingCluster
{
    public const uint LastTimeline = 3;

    private const int PerSecond = 120;

    private string _data = string.Empty;
    private int _number;

    public override string InitdbArguments => "--data-checksums";

    public override string Settings => base.Settings + "track_commit_timestamp = on\n";

    /// <summary>The chance of cluster and test.</summary>
    public RandomRun Run { get; } = RandomRun.Begin();

    public ForkedHistory History { get; } = new();

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _data = DataDirectory;
        await Run.TellAsync("the cluster's own life", async () =>
        {
            await StartArchivingAsync();
            await PgbenchLoad.PrepareAsync(Host);
            await ExecuteAsync("postgres", "CREATE TABLE mark (number int PRIMARY KEY, padding text)");
            await LiveAsync(1, setsBefore: 2, setsAfter: 1);
            await GoOnAsync(2);
            await LiveAsync(2, setsBefore: 1, setsAfter: 0);
            await GoOnAsync(3);
            await LiveAsync(3, setsBefore: 0, setsAfter: 0);
        });
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(_data, "postmaster.pid")))
        {
            await RestoredServer.StopAsync(_data, "immediate");
        }

        await base.DisposeAsync();
    }

    // Everything happens under load, and a timeline goes on behind the mark at which the next one leaves it.
    private async Task LiveAsync(uint timeline, int setsBefore, int setsAfter)
    {
        var begin = Lsn.Parse(await TextAsync("postgres", "SELECT pg_current_wal_insert_lsn()::text"));
        var marks = new List<Mark>();
        int fork;
        await using (PgbenchLoad.Start(Host, PerSecond))
        {
            await SomeAsync(marks, timeline, 2, 3);
            for (var set = 0; set < setsBefore; set++)
            {
                await BackUpAsync(marks, timeline);
                await SomeAsync(marks, timeline, 4, 7);
            }

            marks.Add(await AddAsync(timeline, isAlone: true));
            fork = marks.Count - 1;
            await SomeAsync(marks, timeline, 3, 5);
            for (var set = 0; set < setsAfter; set++)
            {
                await BackUpAsync(marks, timeline);
                await SomeAsync(marks, timeline, 2, 4);
            }

        }

        var commits = await CommitsAsync(timeline, begin);
        foreach (var mark in marks)
        {
            History.Marks.Add(mark with { Commit = commits[mark.Xid] });
        }

        History.Fork(History.Marks[^(marks.Count - fork)]);
        await ArchivedAsync(await SwitchWalAsync());
        await RestoredServer.StopAsync(_data, "fast");
    }

    // As an administrator does it who goes back to a moment and stays there.
    private async Task GoOnAsync(uint timeline)
    {
        var at = History.MarksOf(timeline)[^1];
        var data = Path.Combine(Host, $"timeline {timeline}");
        string[] target = Run.OneIn(2) ? ["--to-xid", at.Xid] : ["--to-lsn", at.Commit.ToString()];
        string[] restore =
        [
            "restore", "--target-dir", data, "--timeline", $"{timeline - 1}", .. target,
            "--action", "promote", "--keep-archiving", "--start", "--env-file", EnvFile,
        ];
        (await RunInAsync(Host, restore)).Expect(0);
        _data = data;
        Assert.Equal($"{timeline:X8}", (await TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))![..8]);
    }

    private async Task SomeAsync(List<Mark> marks, uint timeline, int least, int most)
    {
        for (var left = Run.Between(least, most); left > 0; left--)
        {
            await LoadGoesOnAsync(Run.Between(0, 12));
            switch (Run.Between(0, 5))
            {
                case 0:
                    marks.AddRange(await AddCrossedAsync(timeline));
                    break;
                case 1:
                    await ExecuteAsync("postgres", "SELECT pg_switch_wal()");
                    marks.Add(await AddAsync(timeline, isAlone: false));
                    break;
                case 2:
                    await ExecuteAsync("postgres", "CHECKPOINT");
                    marks.Add(await AddAsync(timeline, isAlone: true));
                    break;
                default:
                    marks.Add(await AddAsync(timeline, isAlone: true));
                    break;
            }

            if (Run.OneIn(2))
            {
                // Behind a fork the old server has given the same names.
                var name = $"it's point {History.PointsOf(timeline).Count}";
                var lsn = await TextAsync("postgres", $"SELECT pg_create_restore_point({SqlText.Literal(name)})::text");
                History.Points.Add(new RestorePoint(name, timeline, Lsn.Parse(lsn)));
            }
        }
    }

    private async Task LoadGoesOnAsync(int transactions)
    {
        var before = await CountAsync();
        await Eventually.TrueAsync(async () => await CountAsync() >= before + transactions, "pgbench goes on");

        async Task<long> CountAsync() => long.Parse(
            (await TextAsync("postgres", "SELECT count(*)::text FROM pgbench_history"))!, CultureInfo.InvariantCulture);
    }

    private async Task BackUpAsync(List<Mark> marks, uint timeline)
    {
        var backup = RunInAsync(_data, "backup", "--kind", "physical", "--jobs", "2", "--env-file", EnvFile, "--json");
        while (!backup.IsCompleted)
        {
            marks.Add(await AddAsync(timeline, isAlone: true));
            await LoadGoesOnAsync(10);
        }

        var id = HistoryCluster.Id(await backup);
        using var document = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(Site, "backups", "sets", id, "manifest.json")));
        var physical = document.RootElement.GetProperty("physical");
        Assert.Equal(timeline, physical.GetProperty("timeline").GetUInt32());
        History.Sets.Add(new HistorySet(
            id, timeline, Lsn.Parse(physical.GetProperty("stopLsn").GetString()), document.RootElement.GetProperty("stopped").GetDateTimeOffset().UtcDateTime));
    }

    private async Task<Mark> AddAsync(uint timeline, bool isAlone)
    {
        await using var connection = await OpenAsync("postgres");
        await using var transaction = await connection.BeginTransactionAsync();
        // Whoever wrote to pgbench_history has ended before this is granted, and nobody else writes to it before our own end.
        return await EndAsync(connection, transaction, await InsertAsync(connection, isAlone ? "LOCK pgbench_history IN EXCLUSIVE MODE;" : ""), timeline, isAlone);
    }

    // The transaction with the smaller id ends last.
    private async Task<IReadOnlyList<Mark>> AddCrossedAsync(uint timeline)
    {
        await using var connection = await OpenAsync("postgres");
        await using var transaction = await connection.BeginTransactionAsync();
        var first = await InsertAsync(connection, string.Empty);
        var second = await AddAsync(timeline, isAlone: false);
        return [second, await EndAsync(connection, transaction, first, timeline, isAlone: false)];
    }

    private async Task<(int Number, string Xid)> InsertAsync(NpgsqlConnection connection, string before)
    {
        var number = ++_number;
        await using var command = new NpgsqlCommand(
            $"{before} INSERT INTO mark VALUES ({number}, repeat('x', {Run.Between(1, 2000)})) RETURNING pg_current_xact_id()::text", connection);
        return (number, (string)(await command.ExecuteScalarAsync())!);
    }

    private static async Task<Mark> EndAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, (int Number, string Xid) row, uint timeline, bool isAlone)
    {
        await transaction.CommitAsync();
        await using var command = new NpgsqlCommand(
            $"SELECT pg_xact_commit_timestamp('{row.Xid}'::xid), clock_timestamp(), pg_current_wal_insert_lsn()::text", connection);
        await using var reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        return new Mark(
            row.Number, timeline, row.Xid, reader.GetDateTime(0), reader.GetDateTime(1), default, Lsn.Parse(reader.GetString(2)), isAlone);
    }

    // What the server really wrote, in what order.
    private async Task<Dictionary<string, Lsn>> CommitsAsync(uint timeline, Lsn from)
    {
        var to = await TextAsync("postgres", "SELECT pg_current_wal_flush_lsn()::text");
        var said = await Command.ShellAsync(
            $"{PostgresPrograms.Directory}/pg_waldump -p '{_data}/pg_wal' -t {timeline} -r Transaction -s {from} -e {to}", directory: "/");
        return Commit().Matches(said.Output).ToDictionary(static m => m.Groups["xid"].Value, static m => Lsn.Parse(m.Groups["lsn"].Value));
    }

    [GeneratedRegex(
        @"tx: +(?<xid>\d+), lsn: (?<lsn>[0-9A-F]+/[0-9A-F]+), .*desc: COMMIT ", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 10_000)]
    private static partial Regex Commit();
}
