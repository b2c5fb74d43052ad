using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Processes;

/// <summary>
/// Runs the user's own programs before and after a verb. A hook gets what happens in SHBACKUP_* variables; a pre hook
/// that fails stops the verb, a post hook that fails is a failure of its own.
/// </summary>
public sealed class Hook(ProcessLauncher launcher, ILogger log)
{
    /// <summary>Runs a hook; null does nothing.</summary>
    /// <param name="command">A command for /bin/sh, as the user configured it.</param>
    /// <param name="setting">The setting that it comes from, for messages.</param>
    /// <param name="facts">Variables without their SHBACKUP_ prefix.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">The hook failed.</exception>
    public async Task RunAsync(string? command, string setting, IReadOnlyDictionary<string, string> facts, CancellationToken cancel)
    {
        if (command is null)
        {
            return;
        }

        var child = new ChildCommand("/bin/sh", ["-c", command])
        {
            Environment = facts.ToDictionary(static f => $"SHBACKUP_{f.Key}", static f => (string?)f.Value),
        };
        try
        {
            var said = await launcher.ReadOutputAsync(child, cancel);
            foreach (var line in said.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                log.Information("{Hook}: {Line}", setting, line);
            }
        }
        catch (ChildProcessException e)
        {
            throw new BackupException(ErrorKind.ChildFailed, $"{setting} failed: {e.Message}", $"correct or remove {setting}", e);
        }
    }
}
