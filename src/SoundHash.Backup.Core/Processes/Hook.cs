using System.Text;
using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Processes;

/// <summary>
/// Runs the user's own programs before and after a verb. A hook gets what happens in SHBACKUP_* variables; a pre hook
/// that fails stops the verb, a post hook that fails is a failure of its own.
/// </summary>
public sealed class Hook(ProcessLauncher launcher, ILogger log)
{
    // What a hook leaves in the background may hold its output open for ever; the hook itself is over by then.
    private static readonly TimeSpan OutputEnds = TimeSpan.FromSeconds(2);

    private const int LongestLine = 8 * 1024;

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

        var shell = new ChildCommand("/bin/sh", ["-c", command])
        {
            Environment = facts.ToDictionary(static f => $"SHBACKUP_{f.Key}", static f => (string?)f.Value),
        };
        await using var child = launcher.Start(shell);
        child.CloseInput();
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var said = LogOutputAsync(child, setting, reading.Token);
        try
        {
            var exitCode = await child.WaitForExitAsync(cancel);
            await EndOfOutputAsync(said, setting, cancel);
            if (exitCode != 0)
            {
                var e = new ChildProcessException(child.Name, exitCode, child.StderrTail);
                throw new BackupException(ErrorKind.ChildFailed, $"{setting} failed: {e.Message}", $"correct or remove {setting}", e);
            }
        }
        finally
        {
            await reading.CancelAsync();
            await said.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task EndOfOutputAsync(Task said, string setting, CancellationToken cancel)
    {
        try
        {
            await said.WaitAsync(OutputEnds, cancel);
        }
        catch (TimeoutException)
        {
            log.Warning("{Hook} left a program in the background that holds its output open; it is not waited for", setting);
        }
    }

    private async Task LogOutputAsync(ChildProcess child, string setting, CancellationToken cancel)
    {
        var pipe = new byte[4096];
        var text = new StringBuilder();
        var decoder = Encoding.UTF8.GetDecoder();
        var chars = new char[Encoding.UTF8.GetMaxCharCount(pipe.Length)];
        int read;
        do
        {
            read = await child.ReadOutputAsync(pipe, cancel);
            text.Append(chars, 0, decoder.GetChars(pipe, 0, read, chars, 0, flush: read == 0));
            LogLines(text, setting, all: read == 0);
        }
        while (read > 0);
    }

    private void LogLines(StringBuilder text, string setting, bool all)
    {
        var lines = text.ToString().Split('\n');
        text.Clear();
        // A line without end is logged in pieces, so that no hook can fill our memory.
        if (!all && lines[^1].Length < LongestLine)
        {
            text.Append(lines[^1]);
            lines[^1] = string.Empty;
        }

        foreach (var line in lines.Where(static l => l.Length > 0))
        {
            log.Information("{Hook}: {Line}", setting, line);
        }
    }
}
