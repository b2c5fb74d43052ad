using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Several databases in one run: what was done is told, however the run ends.</summary>
public sealed class SeveralTests(PostgresCluster cluster)
{
    private const string Table = "CREATE TABLE t AS SELECT generate_series(1, 100) AS id";

    [Fact]
    public async Task A_no_to_the_second_database_is_no_word_about_the_first()
    {
        var (work, first, second) = await TwoAsync(Table);
        using var owned = work;
        await cluster.ExecuteAsync(first, "TRUNCATE t");
        await cluster.ExecuteAsync(second, "TRUNCATE t");

        var output = (await work.RunOnTerminalAsync("yes\nno\n", "restore", "--latest", "--all-databases", "--clean")).Expect(130).Output;

        Assert.Contains($"to \"{first}\"; 1 table with 100 rows as recorded", output, StringComparison.Ordinal);
        Assert.Contains(
            $"database \"{second}\": not confirmed; nothing was changed; what was done before it stays, and is listed",
            output,
            StringComparison.Ordinal);
        Assert.Equal("100", await cluster.TextAsync(first, "SELECT count(*) FROM t"));
        Assert.Equal("0", await cluster.TextAsync(second, "SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task A_signal_in_the_second_database_is_no_word_about_the_first_and_the_post_hook_learns_of_it()
    {
        var gate = new RestoreGate();
        var (work, first, second) = await TwoAsync(gate.WaitingFunction + RestoreGate.Tables);
        using var owned = work;
        work.Set("BACKUP_HOOK_POST_RESTORE", "'echo $SHBACKUP_EXIT_CODE > post'");
        await gate.CloseAsync(cluster);
        using var restore = work.Start("restore", "--latest", "--all-databases", "--swap", "--yes", "--json");
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(second));

        await RestoreHelp.SignalAsync(restore, "TERM");

        var result = (await Command.FinishAsync(restore)).Expect(130).Says($"database \"{second}\": cancelled");
        using var document = System.Text.Json.JsonDocument.Parse(result.Output);
        var items = document.RootElement.GetProperty("restores");
        Assert.Equal(first, items[0].GetProperty("result").GetProperty("database").GetString());
        Assert.Equal("cancelled", items[1].GetProperty("error").GetProperty("kind").GetString());
        Assert.Equal("130", Command.ReadText(Path.Combine(work.Folder, "post")).Trim());
        await gate.OpenAsync(cluster);
    }

    private async Task<(Workspace Work, string First, string Second)> TwoAsync(string second)
    {
        var names = (First: await cluster.CreateDatabaseAsync(Table, "a"), Second: await cluster.CreateDatabaseAsync(second, "b"));
        var work = new Workspace(cluster, names.First);
        await work.BackupAsync("--database", names.First, "--database", names.Second);
        return (work, names.First, names.Second);
    }
}
