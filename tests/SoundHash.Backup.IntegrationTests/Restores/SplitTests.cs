using SoundHash.Backup.IntegrationTests.Backups;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>A set in several streams is restored by several processes, and no file of it touches a disk.</summary>
public sealed class SplitTests(PostgresCluster cluster, Samples samples)
{
    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    public async Task A_split_set_comes_back_whole_with_keys_indexes_and_sequences(string encryption)
    {
        using var sample = await samples.SplitAsync(cluster, encryption);
        var target = RestoreHelp.NewName();

        var document = await sample.Work.JsonAsync(0, "restore", "--latest", "--target-db", target, "--jobs", "2");

        var result = document.GetProperty("restores")[0].GetProperty("result");
        Assert.Equal(4, result.GetProperty("fingerprintsCompared").GetInt32());
        Assert.Equal(115_101, result.GetProperty("rows").GetInt32());
        Assert.Equal("2", await cluster.TextAsync(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"));
        Assert.Equal("6", await cluster.TextAsync(target, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"));
        Assert.Equal("101", await cluster.TextAsync(target, "INSERT INTO channels (name) VALUES ('next') RETURNING id"));
    }

    [Fact]
    public async Task A_set_of_one_stream_says_that_more_jobs_do_not_make_it_faster()
    {
        using var sample = await samples.SmallAsync(cluster);
        const string Told = "was dumped in one stream";

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName(), "--jobs", "2")).Expect(0).Says(Told);
        var alone = (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName(), "--jobs", "1")).Expect(0);

        Assert.DoesNotContain(Told, alone.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_split_set_fills_an_existing_empty_database_in_one_transaction()
    {
        using var sample = await samples.SplitAsync(cluster);
        var target = await cluster.CreateDatabaseAsync("SELECT 1");

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--jobs", "2")).Expect(0);

        Assert.Equal("110000", await cluster.TextAsync(target, "SELECT count(*) FROM audio_fingerprints"));
        Assert.Equal("2", await cluster.TextAsync(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"));
    }

    [Fact]
    public async Task Big_tables_are_loaded_side_by_side()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(
            BackupProbe.TwoBigTables + gate.WaitingFunction
            + "ALTER TABLE a_big ADD CHECK (public.gate()); ALTER TABLE b_big ADD CHECK (public.gate())");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync("--jobs", "2");
        var target = RestoreHelp.NewName();
        await gate.CloseAsync(cluster);
        using var restore = work.Start("restore", "--latest", "--target-db", target, "--jobs", "2");

        await Eventually.TrueAsync(
            async () => await cluster.TextAsync(
                "postgres",
                $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{RestoreHelp.WorkingName(target)}' AND wait_event = 'PgSleep'") == "2",
            "both tables are being loaded");

        await gate.OpenAsync(cluster);
        (await Command.FinishAsync(restore)).Expect(0);
    }

    // The materialized view of the last part waits at the gate, so that the middle can be looked at.
    [Fact]
    public async Task The_last_part_is_read_from_memory_by_several_processes_and_no_file_is_made()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(
            gate.WaitingFunction +
            """
            CREATE TABLE big (id int) WITH (fillfactor = 10);
            INSERT INTO big SELECT generate_series(1, 240000);
            CREATE INDEX big_id ON big (id);
            CREATE FUNCTION steady() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.gate(); END';
            CREATE INDEX gated ON big ((public.steady()));
            """);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync("--jobs", "2");
        var temporary = Path.Combine(work.Folder, "tmp");
        Directory.CreateDirectory(temporary);
        work.Environment["TMPDIR"] = temporary;
        work.Environment["DOTNET_EnableDiagnostics"] = "0";
        var before = Files(work.Repository);
        var target = RestoreHelp.NewName();
        await gate.CloseAsync(cluster);
        using var restore = work.Start("restore", "--latest", "--target-db", target, "--jobs", "2");
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));

        var memory = Directory.EnumerateFiles($"/proc/{restore.Id}/fd").Where(
            static f => Link(f).Contains("memfd:post-data", StringComparison.Ordinal)).ToList();
        var commands = (await Command.ShellAsync($"ps -o args= --ppid {restore.Id}")).Output;
        Assert.Single(memory);
        Assert.Contains($"--jobs=2 /proc/{restore.Id}/fd/", commands, StringComparison.Ordinal);
        Assert.Empty(Files(temporary));
        Assert.Equal(before, Files(work.Repository));

        await gate.OpenAsync(cluster);
        (await Command.FinishAsync(restore)).Expect(0);
        Assert.Empty(Files(temporary));
        Assert.Equal("gated", await cluster.TextAsync(target, "SELECT to_regclass('gated')::text"));
    }

    private static string Link(string path) => new FileInfo(path).LinkTarget ?? string.Empty;

    // Locks and the remembered pace are no data.
    private static List<string> Files(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(
            static f => !f.Contains("/state/", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToList();
}
