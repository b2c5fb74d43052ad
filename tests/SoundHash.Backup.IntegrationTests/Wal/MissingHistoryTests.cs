using System.Diagnostics;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>
/// A server that was promoted while it did not archive, as every restored copy is: PostgreSQL never hands the history of its
/// timeline over when archiving is switched on again.
/// </summary>
public sealed class MissingHistoryTests : IAsyncLifetime
{
    private const string History = "00000002.history";
    private readonly ReceivingCluster _cluster = new();

    public async ValueTask InitializeAsync()
    {
        await _cluster.InitializeAsync();
        await _cluster.CrashAsync();
        await _cluster.RecoverOntoNewTimelineAsync();
        await _cluster.StartArchivingAsync();
        await _cluster.CrashAsync();
        await _cluster.StartAgainAsync();
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task A_physical_backup_archives_the_history_that_PostgreSQL_never_hands_over()
    {
        (await RunAsync("backup", "--kind", "physical", "--archive-timeout", "60")).Expect(0);

        await IsThereAsync();
        (await RunAsync("wal-archive", "verify")).Expect(0);
        (await RunAsync("wal-archive", "status")).Expect(0);
    }

    [Fact]
    public async Task The_first_segment_of_a_timeline_takes_its_history_along()
    {
        await _cluster.ArchivedAsync(await _cluster.SwitchWalAsync());

        await IsThereAsync();
    }

    [Fact]
    public async Task Segments_without_their_history_are_a_problem_that_repair_mends_from_pg_wal()
    {
        (await RunAsync("backup", "--kind", "physical", "--archive-timeout", "60")).Expect(0);
        await _cluster.ArchivedAsync(await _cluster.SwitchWalAsync());
        await RemoveAsync();

        (await RunAsync("wal-archive", "verify")).Expect(8).Says($"{History} is missing").Says("the server still has it").Says("verify --repair");
        (await RunAsync("wal-archive", "status")).Expect(8).Says($"{History} is missing");
        (await RunAsync("wal-archive", "list")).Expect(8).Says($"{History} is missing");

        Assert.Contains($"repaired {History}", (await RunAsync("wal-archive", "verify", "--repair")).Expect(0).Output, StringComparison.Ordinal);
        await IsThereAsync();
        (await RunAsync("wal-archive", "status")).Expect(0);
    }

    [Fact]
    public async Task A_history_that_is_nowhere_fails_the_backup_at_once_and_says_what_to_push()
    {
        await _cluster.ArchivedAsync(await _cluster.SwitchWalAsync());
        await RemoveAsync();
        File.Delete(Path.Combine(_cluster.DataDirectory, "pg_wal", History));

        var watch = Stopwatch.StartNew();
        (await RunAsync("backup", "--kind", "physical", "--archive-timeout", "300")).Expect(8).Says(History).Says($"wal-archive push pg_wal/{History}");
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60), "it waited for what nobody brings");
        (await RunAsync("wal-archive", "verify", "--repair")).Expect(8).Says($"{History} is missing");

        // Archiving goes on, and says so.
        await _cluster.ArchivedAsync(await _cluster.SwitchWalAsync());
    }

    // Guards against this: two servers were promoted apart, each onto a timeline 2, and their segments were archived as one timeline's.
    [Fact]
    public async Task Segments_of_two_timelines_with_one_number_are_not_mixed()
    {
        var archive = await _cluster.ArchiveOfClusterAsync();
        await Command.ShellAsync(
            $"mkdir -p \"{archive}\" && cd \"{archive}\" && printf '1\\t0/2000000\\tanother one\\n' >{History} && sha256sum {History} >{History}.sha256");
        await ArchivingCluster.GiveToPostgresAsync(_cluster.Archive);
        var segment = await _cluster.SwitchWalAsync();

        (await RunAsync("wal-archive", "push", $"pg_wal/{segment}")).Expect(8).Says(History).Says("with other content");

        Assert.False(File.Exists(Path.Combine(archive, "00000002", segment)));
    }

    private Task<CommandResult> RunAsync(params string[] arguments) => _cluster.RunAsync([.. arguments, "--env-file", _cluster.EnvFile]);

    private async Task IsThereAsync()
    {
        var archived = Path.Combine(await _cluster.ArchiveOfClusterAsync(), History);
        await Command.ShellAsync($"zstd -dcq \"{archived}\" | cmp - '{_cluster.DataDirectory}/pg_wal/{History}'");
    }

    private async Task RemoveAsync()
    {
        var archived = Path.Combine(await _cluster.ArchiveOfClusterAsync(), History);
        File.Delete(archived);
        File.Delete($"{archived}.sha256");
    }
}
