using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>
/// Whatever is killed at whatever moment, and whatever happens to the archive meanwhile: afterwards everything goes on by itself,
/// and what the server said was committed is in what is restored. SHBACKUP_KILL_ROUNDS says how often this is tried.
/// </summary>
public sealed class KillTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Usually = 4;
    private const int Soonest = 20; // milliseconds
    private const int Killed = 128 + 9;
    private const string Marks = "SELECT string_agg(number::text, ',' ORDER BY number) FROM mark";

    private static readonly string[] Victims = ["push", "backup", "restore", "server"];
    private static readonly string[] Archives = ["there", "gone", "closed", "full"];
    private static readonly string[] Backup = ["backup", "--kind", "physical", "--jobs", "2"];

    private readonly TroubledCluster _cluster = new();
    private readonly RandomRun _run = RandomRun.Begin();
    private readonly Dictionary<string, int> _hits = Victims.ToDictionary(static v => v, static _ => 0);
    private readonly Dictionary<string, int> _latest = new() { ["push"] = 100, ["backup"] = 3000, ["restore"] = 3000 };

    public ValueTask InitializeAsync() => _cluster.InitializeAsync();

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Whatever_is_killed_or_taken_away_all_goes_on_afterwards_and_nothing_that_was_committed_is_lost()
    {
        var first = HistoryCluster.Id(await RunAsync([.. Backup, "--json"]));
        var number = 0;
        var rounds = Rounds().Take(RandomRun.Rounds("SHBACKUP_KILL_ROUNDS", Usually)).ToList();
        foreach (var (victim, archive) in rounds)
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

        var hits = string.Join(", ", _hits.Select(static h => $"{h.Key} {h.Value}"));
        output.WriteLine($"{_run}: kills that hit a running process: {hits}");
        foreach (var (victim, _) in rounds)
        {
            Assert.True(_hits[victim] > 0, $"{_run}: no {victim} was running when it was killed ({hits})");
        }
    }

    // Each victim once and each archive once, again and again. A restore needs an archive that can be read to get as far as to write.
    private IEnumerable<(string Victim, string Archive)> Rounds() => _run.Deal(Victims).Chunk(Victims.Length).SelectMany(victims =>
    {
        var archives = _run.Deal(Archives).Chunk(Archives.Length).First(a => a[Array.IndexOf(victims, "restore")] is "there" or "full");
        return victims.Zip(archives);
    });

    private async Task KillAsync(string victim, RestoredServer place)
    {
        for (var times = _run.Between(1, 3); times > 0; times--)
        {
            switch (victim)
            {
                case "push":
                    await KillAsync(victim, 0, _cluster.KillPushAsync);
                    break;
                case "backup":
                    await KillAsync(victim, Soonest, after => RunAndKillAsync(after, [.. Backup, "--env-file", _cluster.EnvFile]));
                    break;
                case "restore":
                    await KillAsync(victim, Soonest, after => RunAndKillAsync(after, Restore(place)));
                    await NothingHalfAsync(place);
                    break;
                default:
                    await _cluster.CrashAsync(whole: _run.OneIn(2));
                    _hits[victim]++;
                    break;
            }
        }
    }

    // How long one lives is not the same on all machines: where the kill came too late, the next one comes sooner.
    private async Task KillAsync(string victim, int soonest, Func<TimeSpan, Task<bool>> isHit)
    {
        int moment;
        do
        {
            moment = _run.Between(soonest, _latest[victim]);
            if (await isHit(TimeSpan.FromMilliseconds(moment)))
            {
                _hits[victim]++;
                return;
            }

            _latest[victim] = moment;
        }
        while (moment > soonest);
    }

    private async Task<bool> RunAndKillAsync(TimeSpan after, string[] arguments) =>
        (await _cluster.RunAndKillAsync(after, arguments)).ExitCode == Killed;

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
