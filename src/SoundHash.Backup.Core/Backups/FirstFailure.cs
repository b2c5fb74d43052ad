namespace SoundHash.Backup.Backups;

/// <summary>
/// Runs work beside guards that only watch over it, so that the first failure of either ends everything and is the one
/// to report: what fails after it fails because of it.
/// </summary>
/// <param name="stop">Cancelled on a failure: the work hears of it.</param>
/// <param name="done">Cancelled when the work is over, well or not: the guards hear of it.</param>
internal sealed class FirstFailure(CancellationTokenSource stop, CancellationTokenSource done)
{
    /// <summary>Returns when all has ended; throws the first failure.</summary>
    /// <param name="work">What is to be done.</param>
    /// <param name="guards">What runs until the work is over. One that ends early without a failure is no matter.</param>
    public async Task EndsAllAsync(Task[] work, Task[] guards)
    {
        Task? failed = null;
        var open = work.Concat(guards).ToList();
        while (failed is null && work.Any(static t => !t.IsCompleted))
        {
            var ended = await Task.WhenAny(open);
            open.Remove(ended);
            failed = ended.IsCompletedSuccessfully ? null : ended;
        }

        failed ??= Array.Find(work, static t => !t.IsCompletedSuccessfully);
        if (failed is not null)
        {
            await stop.CancelAsync();
        }

        await done.CancelAsync();
        foreach (var task in work.Concat(guards))
        {
            await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await (failed ?? Array.Find(guards, static g => g.IsFaulted) ?? Task.CompletedTask);
    }
}
