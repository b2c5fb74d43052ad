using System.Diagnostics;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>Waits for something that can be observed.</summary>
public static class Eventually
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Looks until a condition holds; fails with its name when it never does.</summary>
    public static async Task TrueAsync(Func<Task<bool>> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(clock.Elapsed < Limit, $"never came to pass: {what}");
            await Task.Delay(Interval, TestContext.Current.CancellationToken);
        }
    }

    public static Task TrueAsync(Func<bool> condition, string what) => TrueAsync(() => Task.FromResult(condition()), what);
}
