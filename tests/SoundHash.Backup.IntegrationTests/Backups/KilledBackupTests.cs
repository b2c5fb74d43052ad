using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>However a backup ends before its time, no half set is ever listed and the next run works.</summary>
public sealed class KilledBackupTests(PostgresCluster cluster, ITestOutputHelper output)
{
    // Guards against this: SIGTERM left a partial dump under its final name.
    [Theory]
    [InlineData(Moment.BeforeDump, "TERM")]
    [InlineData(Moment.InTheMiddle, "TERM")]
    [InlineData(Moment.InTheMiddle, "INT")]
    [InlineData(Moment.AfterDump, "TERM")]
    public async Task A_terminated_backup_exits_130_and_leaves_no_file_and_no_process(Moment moment, string signal)
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();
        var mark = work.Mark();
        using (var gate = new DumpGate(work, moment))
        {
            using var backup = work.Start("backup");
            await gate.ReachedAsync(backup);

            (await backup.EndAsync(signal)).Expect(130).Says("cancelled");
        }

        Assert.Empty(work.SetFiles());
        Assert.Empty(BackupProbe.ProcessesOf(mark));
        Assert.Empty(await work.ListedAsync());
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_backup_that_waits_for_a_table_can_be_cancelled(string signal)
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        await using var other = await cluster.OpenAsync(database);
        await using var command = other.CreateCommand();
        command.CommandText = "BEGIN; LOCK TABLE a_held IN ACCESS EXCLUSIVE MODE";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        using var backup = work.Start("backup");
        await cluster.LockIsAwaitedAsync(database);

        (await backup.EndAsync(signal)).Expect(130);
        Assert.Empty(work.SetFiles());
    }

    [Fact]
    public async Task A_cancelled_run_over_several_databases_tells_of_the_sets_that_it_made()
    {
        var first = await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS id");
        var second = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, first);
        await using var other = await cluster.OpenAsync(second);
        await using var command = other.CreateCommand();
        command.CommandText = "BEGIN; LOCK TABLE a_held IN ACCESS EXCLUSIVE MODE";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        using var backup = work.Start("backup", "--database", first, "--database", second, "--database", "never", "--json");
        await cluster.LockIsAwaitedAsync(second);
        var result = (await backup.EndAsync("TERM")).Expect(130).Says($"error: database \"{second}\": cancelled");

        using var document = System.Text.Json.JsonDocument.Parse(result.Output);
        Assert.Equal(130, document.RootElement.GetProperty("exitCode").GetInt32());
        var items = document.RootElement.GetProperty("databases").EnumerateArray().ToList();
        Assert.Equal(2, items.Count);
        Assert.Equal(items[0].GetProperty("set").GetProperty("id").GetString(), Assert.Single(await work.ListedAsync()));
        Assert.Equal("cancelled", items[1].GetProperty("error").GetProperty("kind").GetString());
    }

    [Theory]
    [InlineData(Moment.BeforeDump)]
    [InlineData(Moment.InTheMiddle)]
    [InlineData(Moment.AfterDump)]
    public async Task After_a_killed_backup_nothing_is_listed_and_the_next_run_works_and_cleans_up(Moment moment)
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();
        using (var gate = new DumpGate(work, moment))
        {
            using var backup = work.Start("backup");
            await gate.ReachedAsync(backup);
            Assert.Equal(137, (await backup.EndAsync("KILL")).ExitCode);
        }

        Assert.NotEmpty(work.SetFiles());
        Assert.Empty(await work.ListedAsync());
        (await work.RunAsync("restore", "--latest", "--target-db", "never")).Expect(1).Says("there is no set");

        work.Unset("PG_BIN_DIR");
        var id = await work.BackupAsync();

        Assert.Equal([id], await work.ListedAsync());
        Assert.All(work.SetFiles(), f => Assert.StartsWith(work.SetFolder(id), f, StringComparison.Ordinal));
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
    }

    [Fact]
    public async Task A_killed_split_backup_leaves_nothing_that_is_listed_and_the_next_run_cleans_up()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.TwoBigTables);
        using var work = new Workspace(cluster, database);
        var mark = work.Mark();
        using (var gate = new DumpGate(work, Moment.InTheMiddle))
        {
            using var backup = work.Start("backup", "--jobs", "3");
            await Eventually.TrueAsync(
                () => work.SetFiles().Count(static f => f.Contains(".writing-", StringComparison.Ordinal)) == 3, "three streams are written at once");

            Assert.Equal(137, (await backup.EndAsync("KILL")).ExitCode);
        }

        await BackupProbe.NoProcessesLeftAsync(mark);
        Assert.Empty(await work.ListedAsync());
        work.Unset("PG_BIN_DIR");
        var id = await work.BackupAsync("--jobs", "3");

        Assert.Equal([id], await work.ListedAsync());
        Assert.All(work.SetFiles(), f => Assert.StartsWith(work.SetFolder(id), f, StringComparison.Ordinal));
    }

    // At a rate, so that a round has some seconds in which it can be ended.
    [Fact]
    public async Task A_split_backup_terminated_at_any_moment_is_whole_or_leaves_nothing()
    {
        var chance = RandomRun.Begin();
        var database = await cluster.CreateDatabaseAsync(BackupProbe.TwoBigTables);
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();
        work.Set("BACKUP_RATE_LIMIT", "8M");
        var mark = work.Mark();
        var whole = new List<string>();
        for (var round = 0; round < 4; round++)
        {
            await chance.TellAsync($"round {round}", async () =>
            {
                using var backup = work.Start("backup", "--jobs", "3", "--json");
                await Eventually.TrueAsync(() => work.SetFiles().Any(f => !whole.Contains(Path.GetFileName(Path.GetDirectoryName(f)!))), "it began");
                await Task.Delay(chance.Between(0, 2500), TestContext.Current.CancellationToken);
                // It may have ended by itself.
                _ = await Command.RunAsync("kill", "-TERM", backup.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
                var result = await Command.FinishAsync(backup);
                if (result.ExitCode == 0)
                {
                    using var document = System.Text.Json.JsonDocument.Parse(result.Output);
                    whole.Add(document.RootElement.GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!);
                }
                else
                {
                    result.Expect(130).Says("cancelled");
                }

                Assert.Equal(whole.Order(), (await work.ListedAsync()).Order());
                Assert.Equal(whole.Order(), work.SetFiles().Select(static f => Path.GetFileName(Path.GetDirectoryName(f)!)).Distinct().Order());
                Assert.Empty(BackupProbe.ProcessesOf(mark));
            });
        }

        await work.Unset("BACKUP_RATE_LIMIT").BackupAsync("--jobs", "3");
        (await work.RunAsync("backup", "verify", "--all", "--deep")).Expect(0);
    }

    [Fact]
    public async Task A_killed_pg_dump_of_one_stream_fails_the_backup_and_the_others_leave_nothing()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.TwoBigTables);
        using var work = new Workspace(cluster, database);
        var mark = work.Mark();
        // So slow that the others would take minutes to their end.
        work.Set("BACKUP_RATE_LIMIT", "100K");
        using var backup = work.Start("backup", "--jobs", "3");
        // Those of what is small end soon: one that is killed at its end would end nothing else.
        await Eventually.TrueAsync(
            () => work.SetFiles().ToLookup(static f => f.Contains(".writing-", StringComparison.Ordinal)) is var files
                && files[true].Count() == 2 && files[false].Count(static f => f.Contains(".dump.", StringComparison.Ordinal)) == 3
                && BackupProbe.ProcessesOf(mark).Count(static p => p.Name == "pg_dump") == 2,
            "the streams of both big tables are written, and no others");
        await BackupProbe.SignalAsync(await BackupProbe.ProcessAsync(mark, "pg_dump"), "KILL");

        (await Command.FinishAsync(backup)).Expect(5).Says("pg_dump was ended by signal 9");

        Assert.Empty(work.SetFiles());
        Assert.Empty(await work.ListedAsync());
        Assert.Empty(BackupProbe.ProcessesOf(mark));
    }

    [Fact]
    public async Task No_child_program_outlives_a_killed_backup()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();
        work.Set("BACKUP_RATE_LIMIT", "100K");
        var mark = work.Mark();
        using var backup = work.Start("backup");
        await BackupProbe.ProcessAsync(mark, "pg_dump");
        await BackupProbe.ProcessAsync(mark, "age");

        await backup.EndAsync("KILL");

        await BackupProbe.NoProcessesLeftAsync(mark);
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'") == "0",
            "the server's sessions end too");
        Assert.Empty(await work.ListedAsync());
    }

    [Fact]
    public async Task A_backup_killed_at_any_moment_is_whole_or_not_listed()
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();
        var length = System.Diagnostics.Stopwatch.StartNew();
        await work.BackupAsync();
        length.Stop();

        for (var round = 0; round < 8; round++)
        {
            using var backup = work.Start("backup");
            await Task.Delay(random.Next((int)(length.ElapsedMilliseconds * 1.2)), TestContext.Current.CancellationToken);
            if (!backup.HasExited)
            {
                backup.Kill();
            }

            await Command.FinishAsync(backup);
            await work.ListedAsync();
        }

        await work.BackupAsync();
        (await work.RunAsync("backup", "verify", "--all")).Expect(0);
        // Killed before its intent had a name, a writer leaves a folder that is empty or has a temporary file, and is nobody's.
        var files = Directory.EnumerateFiles(Path.Combine(work.Repository, "sets"), "*", SearchOption.AllDirectories)
            .Where(static f => !Path.GetFileName(f).StartsWith(".writing-", StringComparison.Ordinal));
        var folders = files.Select(static f => Path.GetFileName(Path.GetDirectoryName(f)!)).Distinct().Order();
        Assert.Equal((await work.ListedAsync()).Order(), folders);
    }

    [Fact]
    public async Task A_killed_pg_dump_fails_the_backup_with_5_and_nothing_is_listed()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        var mark = work.Mark();
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var backup = work.Start("backup");
        await gate.ReachedAsync(backup);
        await BackupProbe.SignalAsync(await BackupProbe.ProcessAsync(mark, "pg_dump"), "KILL");
        gate.Open();

        (await Command.FinishAsync(backup)).Expect(5).Says("pg_dump was ended by signal 9");

        Assert.Empty(work.SetFiles());
    }

    [Fact]
    public async Task A_killed_age_fails_the_backup_with_7_and_nothing_is_listed()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        await work.UseAgeAsync();
        var mark = work.Mark();
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var backup = work.Start("backup");
        await gate.ReachedAsync(backup);
        await BackupProbe.SignalAsync(await BackupProbe.ProcessAsync(mark, "age"), "KILL");
        gate.Open();

        (await Command.FinishAsync(backup)).Expect(7).Says("age was ended by signal 9");

        Assert.Empty(work.SetFiles());
    }

    [Fact]
    public async Task A_backup_that_lost_its_snapshot_session_fails_although_pg_dump_succeeds()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.AfterDump);
        using var backup = work.Start("backup");
        await gate.ReachedAsync(backup);
        await EndSnapshotSessionAsync(database);
        gate.Open();

        (await Command.FinishAsync(backup)).Expect(5).Says("the session that held the snapshot").Says("hint: see the server's log");

        Assert.Empty(work.SetFiles());
        Assert.Empty(await work.ListedAsync());
    }

    [Fact]
    public async Task A_lost_snapshot_session_is_noticed_while_the_streams_still_run()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        var mark = work.Mark();
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var backup = work.Start("backup");
        await gate.ReachedAsync(backup);
        await EndSnapshotSessionAsync(database);

        // The gate stays shut: without the watch this would never end.
        (await Command.FinishAsync(backup)).Expect(5).Says("the session that held the snapshot");

        Assert.Empty(work.SetFiles());
        Assert.Empty(BackupProbe.ProcessesOf(mark));
    }

    private async Task EndSnapshotSessionAsync(string database)
    {
        const string Holder = "FROM pg_stat_activity WHERE datname = '{0}' AND application_name = 'shbackup' AND state = 'idle in transaction'";
        var holder = string.Format(System.Globalization.CultureInfo.InvariantCulture, Holder, database);
        // It is idle when it has counted.
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", $"SELECT count(*) {holder}") == "1",
            "one session holds the snapshot");
        await cluster.TextAsync("postgres", $"SELECT pg_terminate_backend(pid) {holder}");
        await Eventually.TrueAsync(async () => await cluster.TextAsync("postgres", $"SELECT count(*) {holder}") == "0", "it ended");
    }
}
