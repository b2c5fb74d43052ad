using System.Diagnostics;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>The lock that keeps a second run of shbackup out.</summary>
public static class HeldLock
{
    /// <summary>Waits until a run that was started holds a lock in some folder.</summary>
    public static Task ByAsync(Process run, string folder)
    {
        // By grep: .NET would lock the file for a moment to read it, and so get into the way of who wants the lock.
        var environment = new Dictionary<string, string?> { ["FOLDER"] = folder };
        return Eventually.TrueAsync(
            async () => !run.HasExited
                ? (await Command.ShellAsync($"grep -rl --include='*.lock' 'pid {run.Id} on' \"$FOLDER\" || true", environment)).Output.Length > 0
                : throw new InvalidOperationException($"shbackup ended before it was seen with a lock: {await run.StandardError.ReadToEndAsync()}"),
            "the run holds its lock");
    }
}
