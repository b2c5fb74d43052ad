using System.Collections.Concurrent;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>
/// Fails each storage call of a run once, one in each run, and sees each time that the run says the truth, that nothing half is visible and
/// that the next run makes it good.
/// </summary>
internal static class Sweep
{
    private const int Lanes = 2;

    /// <summary>Sweeps over a verb.</summary>
    /// <param name="what">The verb and its stores, for people.</param>
    /// <param name="fault">How calls fail.</param>
    /// <param name="open">Makes surroundings.</param>
    public static async Task RunAsync(string what, SweptFault fault, Func<SweptRun> open)
    {
        var lanes = Enumerable.Range(0, Lanes).Select(_ => open()).ToList();
        try
        {
            var (calls, state) = await UndisturbedAsync(lanes[0], fault);
            var random = RandomRun.Begin();
            var every = fault.Passes() ? RandomRun.Rounds("SHBACKUP_SWEEP_EVERY", 4) : 1;
            var chosen = new ConcurrentQueue<int>(Enumerable.Range(0, calls).Skip(every == 1 ? 0 : random.Between(0, every - 1)).Where((_, i) => i % every == 0));
            var planned = chosen.Count;
            var (outcomes, wrong) = (new ConcurrentBag<int>(), new ConcurrentQueue<string>());
            await Task.WhenAll(lanes.Select(lane => Task.Run(async () =>
            {
                while (chosen.TryDequeue(out var call))
                {
                    try
                    {
                        outcomes.Add(await OneAsync(lane, fault, call, state));
                    }
                    catch (Exception e)
                    {
                        wrong.Enqueue($"{what}, call {call + 1} of {calls} {fault}: {e.Message}");
                    }
                }
            })));
            Report(what, fault, calls, outcomes);
            Assert.True(wrong.IsEmpty, $"{random}: after {wrong.Count} of {planned} failed calls:\n\n{string.Join("\n\n", wrong)}");
            Assert.True(planned > 0, "nothing was failed");
            Assert.Equal(planned, outcomes.Count);
        }
        finally
        {
            foreach (var lane in lanes)
            {
                await lane.DisposeAsync();
            }
        }
    }

    private static async Task<(int Calls, string State)> UndisturbedAsync(SweptRun run, SweptFault fault)
    {
        run.Lay();
        var before = run.Cloud.Server.Requests.Count;
        var result = (await run.RunAsync()).Expect(0);
        var calls = run.Cloud.Server.Requests.Skip(before).Count(fault.Which());
        await run.CheckAsync(result);
        await run.RunAgainAsync();
        return (calls, run.State());
    }

    private static async Task<int> OneAsync(SweptRun run, SweptFault fault, int call, string state)
    {
        run.Lay();
        var server = run.Cloud.Server;
        var (before, failures) = (server.Requests.Count, server.Failures);
        server.Fail(fault.Of(run.Cloud, call));
        var result = await run.RunAsync();
        server.Heal();
        var sent = server.Requests.Skip(before).ToList();
        var which = sent.Where(fault.Which()).ElementAtOrDefault(call);
        Assert.True(server.Failures == failures + 1, $"only {sent.Count} calls were made: {result}");
        try
        {
            IsLoudOrSuccess(run, fault, result);
            await run.CheckAsync(result);
            await run.RunAgainAsync();
            Assert.Equal(state, run.State());
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{e.Message}\nfailed was {which}, of\n  {string.Join("\n  ", sent)}\nand the run ended so: {result}", e);
        }

        return result.ExitCode;
    }

    private static void IsLoudOrSuccess(SweptRun run, SweptFault fault, CommandResult result)
    {
        if (result.ExitCode == 0 || fault.Passes())
        {
            result.Expect(0);
            return;
        }

        Assert.Contains(result.ExitCode, run.Failures);
        result.Says($"store {run.Cloud.Name}").Says("hint: ");
        Assert.Contains(result.Error.Split('\n'), static l => l.StartsWith("error: ", StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("xception", result.Error, StringComparison.Ordinal);
    }

    private static void Report(string what, SweptFault fault, int calls, ConcurrentBag<int> outcomes)
    {
        var codes = string.Join(", ", outcomes.GroupBy(static c => c).OrderBy(static g => g.Key).Select(static g => $"{g.Count()} ended with {g.Key}"));
        var line = $"fault sweep: {what}, {fault}: failed {outcomes.Count} of {calls} storage calls, each once: {codes}";
        TestContext.Current.TestOutputHelper?.WriteLine(line);
        if (Environment.GetEnvironmentVariable("SHBACKUP_TEST_REPORT") is { Length: > 0 } report)
        {
            File.AppendAllLines(report, [line]);
        }
    }
}
