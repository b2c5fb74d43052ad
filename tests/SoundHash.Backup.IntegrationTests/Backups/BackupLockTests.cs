using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>One run of a database at a time. Guards against this: there was no lock, and names of one second collided.</summary>
public sealed class BackupLockTests(PostgresCluster cluster)
{
    [Fact]
    public async Task A_second_run_of_the_same_database_is_refused_with_9_and_names_the_holder()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var first = work.Start("backup");
        await gate.ReachedAsync(first);

        (await work.RunAsync("backup")).Expect(9).Says($"pid {first.Id} on {Environment.MachineName}, since 20").Says("--lock-wait");

        gate.Open();
        (await Command.FinishAsync(first)).Expect(0);
        var id = Assert.Single(await work.ListedAsync());
        (await work.RunAsync("backup", "verify", id)).Expect(0);
    }

    [Fact]
    public async Task With_lock_wait_the_second_run_follows_the_first()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var first = work.Start("backup");
        await gate.ReachedAsync(first);
        using var second = work.Start("backup", "--lock-wait", "300");
        await Eventually.TrueAsync(
            () => new DirectoryInfo($"/proc/{second.Id}/fd").EnumerateFileSystemInfos().Any(
                static f => f.LinkTarget?.EndsWith(".lock", StringComparison.Ordinal) == true),
            "the second run looks at the lock");
        Assert.False(second.HasExited);

        gate.Open();
        (await Command.FinishAsync(first)).Expect(0);
        (await Command.FinishAsync(second)).Expect(0);

        Assert.Equal(2, (await work.ListedAsync()).Distinct().Count());
    }

    [Fact]
    public async Task With_lock_wait_the_second_run_gives_up_in_the_end()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        using var gate = new DumpGate(work, Moment.BeforeDump);
        using var first = work.Start("backup");
        await gate.ReachedAsync(first);

        (await work.RunAsync("backup", "--lock-wait", "1")).Expect(9);

        gate.Open();
        (await Command.FinishAsync(first)).Expect(0);
    }

    [Fact]
    public async Task Two_databases_are_backed_up_at_the_same_time_into_one_repository()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        var other = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var gate = new DumpGate(work, Moment.InTheMiddle);
        using var first = work.Start("backup", "--name", "nightly");
        await gate.ReachedAsync(first);

        // The other one's clean-up must not take the first one's unfinished set for a leftover.
        using var ungated = new Workspace(cluster, other);
        ungated.Set("BACKUP_DIR", work.Repository);
        await ungated.BackupAsync("--name", "nightly");

        gate.Open();
        (await Command.FinishAsync(first)).Expect(0);
        Assert.Equal(2, (await work.ListedAsync()).Count);
        (await work.RunAsync("backup", "verify", "--all", "--deep")).Expect(0);
    }

    [Fact]
    public async Task First_runs_of_several_databases_may_race_for_a_new_repository()
    {
        var databases = new List<string>();
        for (var i = 0; i < 4; i++)
        {
            databases.Add(await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS id"));
        }

        using var work = new Workspace(cluster, databases[0]);
        var runs = databases.ConvertAll(d => work.Start("backup", "--database", d, "--name", "nightly"));
        foreach (var run in runs)
        {
            (await Command.FinishAsync(run)).Expect(0);
            run.Dispose();
        }

        Assert.Equal(4, (await work.ListedAsync()).Count);
        (await work.RunAsync("backup", "verify", "--all")).Expect(0);
    }

    [Fact]
    public async Task Sets_of_the_same_name_and_second_get_ids_of_their_own()
    {
        var database = await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT 1 AS id");
        using var work = new Workspace(cluster, database);
        // Another host is at work on the same store with the same name, in every second that may come.
        var now = TimeProvider.System.GetUtcNow();
        for (var second = -5; second < 600; second++)
        {
            var folder = work.SetFolder($"nightly_{now.AddSeconds(second):yyyyMMdd_HHmmss}");
            Directory.CreateDirectory(folder);
            await File.WriteAllTextAsync(
                Path.Combine(folder, "intent.json"),
                "{\"instance\":\"another\",\"lock\":\"another\",\"host\":\"another\",\"pid\":1,\"since\":\"2026-01-01T00:00:00Z\"}",
                TestContext.Current.CancellationToken);
        }

        var id = await work.BackupAsync("--name", "nightly");

        Assert.EndsWith("_2", id, StringComparison.Ordinal);
        Assert.Equal([id], await work.ListedAsync());
        Assert.Equal(605, work.SetFiles().Count(static f => f.EndsWith("intent.json", StringComparison.Ordinal)));
    }
}
