using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>Says every few minutes that a set is still being written, so that nobody takes it for a leftover.</summary>
internal static class IntentRefresh
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(10);

    /// <summary>Goes on until it is cancelled.</summary>
    public static async Task RunAsync(SetWriter set, TimeProvider time, CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(cancel))
        {
            await set.RefreshIntentAsync(cancel);
        }
    }
}
