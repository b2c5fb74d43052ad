using System.Globalization;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// The chance of a random test. SHBACKUP_TEST_SEED repeats a run that failed; where the machine's own timing has a part in it, it
/// repeats what was tried and not what came of it.
/// </summary>
public sealed class RandomRun
{
    private RandomRun(int seed)
    {
        Seed = seed;
        Random = new Random(seed);
    }

    public int Seed { get; }

    public Random Random { get; }

    /// <summary>Takes the seed that somebody set, or a new one, and tells it.</summary>
    public static RandomRun Begin()
    {
        var run = new RandomRun(NumberOf("SHBACKUP_TEST_SEED") ?? Random.Shared.Next());
        TestContext.Current.SendDiagnosticMessage("{0}", run);
        return run;
    }

    /// <summary>How long a test goes on: what its switch says, or the default.</summary>
    public static int Rounds(string name, int usually) => NumberOf(name) ?? usually;

    public int Between(int first, int last) => Random.Next(first, last + 1);

    public bool OneIn(int times) => Random.Next(times) == 0;

    public T Of<T>(IReadOnlyList<T> all) => all[Random.Next(all.Count)];

    /// <summary>All of them again and again, each time in another order.</summary>
    public IEnumerable<T> Deal<T>(IReadOnlyList<T> all)
    {
        while (true)
        {
            var deck = all.ToArray();
            Random.Shuffle(deck);
            foreach (var one in deck)
            {
                yield return one;
            }
        }
    }

    /// <summary>Runs a part of the test; a failure says how to have it again.</summary>
    public async Task TellAsync(string part, Func<Task> run)
    {
        try
        {
            await run();
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{this}, {part}", e);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"SHBACKUP_TEST_SEED={Seed}");

    /// <summary>What a switch of the environment says; null without it.</summary>
    public static int? NumberOf(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
