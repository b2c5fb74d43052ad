using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>
/// Whatever is killed at whatever moment, and whatever happens to the archive meanwhile: afterwards everything goes on by itself,
/// and what the server said was committed is in what is restored. SHBACKUP_KILL_ROUNDS says how often this is tried.
/// </summary>
public sealed class KillTests : IAsyncLifetime
{
    private const int Usually = 4;
    private const string Marks = "SELECT string_agg(number::text, ',' ORDER BY number) FROM mark";

    private static readonly string[] Victims = ["push", "backup", "restore", "server"];
    private static readonly string[] Archives = ["there", "gone", "closed", "full"];
    private static readonly string[] Backup = ["backup", "--kind", "physical", "--jobs", "2"];

    private readonly TroubledCluster _cluster = new();
    private readonly RandomRun _run = RandomRun.Begin();

    public ValueTask InitializeAsync() => _cluster.InitializeAsync();

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Whatever_is_killed_or_taken_away_all_goes_on_afterwards_and_nothing_that_was_committed_is_lost()
    {
        var first = HistoryCluster.Id(await RunAsync([.. Backup, "--json"]));
        var number = 0;
        foreach (var (victim, archive) in _run.Deal(Victims).Zip(_run.Deal(Archives)).Take(RandomRun.Rounds("SHBACKUP_KILL_ROUNDS", Usually)))
        {
            await _run.TellAsync($"round {++number}: kill {victim} while the archive is {archive}", async () =>
            {
                await using var place = await RestoredServer.PlaceAsync();
                await _cluster.UnderLoadAsync(() => archive == "there"
                    ? KillAsync(victim, place)
                    : _cluster.WithoutArchiveAsync(archive, () => KillAsync(victim, place)));
                await AllGoesOnAsync(place, first);
            });
        }
    }

    private async Task KillAsync(string victim, RestoredServer place)
    {
        for (var times = _run.Between(1, 3); times > 0; times--)
        {
            switch (victim)
            {
                case "push":
                    await _cluster.KillPushAsync(TimeSpan.FromMilliseconds(_run.Between(0, 100)));
                    break;
                case "backup":
                    await _cluster.RunAndKillAsync(Moment(), [.. Backup, "--env-file", _cluster.EnvFile]);
                    break;
                case "restore":
                    await _cluster.RunAndKillAsync(Moment(), Restore(place));
                    await NothingHalfAsync(place);
                    break;
                default:
                    await _cluster.CrashAsync(whole: _run.OneIn(2));
                    break;
            }
        }

        TimeSpan Moment() => TimeSpan.FromMilliseconds(_run.Between(20, 3000));
    }

    // It was killed before pg_control came, or it was done.
    private static async Task NothingHalfAsync(RestoredServer place)
    {
        if (File.Exists(place.ControlFile))
        {
            await place.VerifyAsync();
        }
    }

    private async Task AllGoesOnAsync(RestoredServer place, string first)
    {
        await _cluster.ArchivedAsync(await _cluster.SwitchWalAsync());
        (await RunAsync("wal-archive", "verify")).Expect(0);
        (await RunAsync(Backup)).Expect(0);
        (await RunAsync("backup", "verify", "--all")).Expect(0);
        var there = (await _cluster.TextAsync("postgres", Marks))!;
        Assert.Empty(_cluster.Committed.Except(there.Split(',').Select(int.Parse)));
        await _cluster.ArchivedAsync(await _cluster.SwitchWalAsync());

        // From the first set all WAL is replayed that was archived in the middle of every trouble so far.
        string[] from = _run.OneIn(2) ? ["--backup", first] : [];
        (await _cluster.RunAsync([.. Restore(place), .. from])).Expect(0);
        await place.VerifyAsync();
        await place.StartAsync();
        await place.PromotedAsync();
        Assert.Equal(there, await place.TextAsync(Marks));
        PgbenchLoad.AssertBalanced(await place.TextAsync(PgbenchLoad.Balances));
        await PostgresPrograms.CheckAsync(place.Folder, "postgres");
    }

    private string[] Restore(RestoredServer place) =>
        ["restore", "--target-dir", place.Data, "--delta", "--yes", "--env-file", _cluster.EnvFile];

    private Task<CommandResult> RunAsync(params string[] arguments) => _cluster.RunAsync([.. arguments, "--env-file", _cluster.EnvFile]);
}
