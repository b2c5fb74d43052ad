using System.Diagnostics;

namespace SoundHash.Backup.IntegrationTests.Backup;

/// <summary>Waits for what can be observed.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(15);

    /// <summary>Looks again and again until a condition holds; fails when it never does.</summary>
    public static async Task TrueAsync(Func<Task<bool>> condition, string what)
    {
        var waited = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(waited.Elapsed < Limit, $"waited in vain: {what}");
            await Task.Delay(Interval);
        }
    }

    public static Task TrueAsync(Func<bool> condition, string what) => TrueAsync(() => Task.FromResult(condition()), what);
}
