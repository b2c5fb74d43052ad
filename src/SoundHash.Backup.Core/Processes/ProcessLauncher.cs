using System.ComponentModel;
using System.Diagnostics;
using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Processes;

/// <summary>Starts child programs.</summary>
public sealed class ProcessLauncher
{
    private readonly ILogger _log;
    private readonly HashSet<string> _hidden = [];
    private readonly string? _setsid = ProgramPath.Find("setsid");

    /// <summary>Prepares to start programs; changes how this process takes SIGPIPE, so that children get its default.</summary>
    public ProcessLauncher(ILogger log)
    {
        _log = log;
        Posix.CatchSigpipe();
    }

    /// <summary>Keeps a variable of this process, such as a key of ours, from every program that is started from now on.</summary>
    public void Hide(string variable) => _hidden.Add(variable);

    /// <summary>
    /// Starts a program with its three standard streams as pipes.
    /// </summary>
    /// <exception cref="BackupException">The program is missing or can't be executed.</exception>
    public ChildProcess Start(ChildCommand command)
    {
        // setsid would start in any case, and its failure to find the program would look like the program's own.
        if (!ProgramPath.IsExecutable(command.Program))
        {
            throw new BackupException(
                ErrorKind.ToolMissing, $"{command.Program} is no program that can be run", "install the program or correct its path");
        }

        var process = new Process { StartInfo = StartInfo(command) };
        _log.Debug("starting {Program} {Arguments}", command.Program, command.Arguments);
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            process.Dispose();
            throw new BackupException(
                ErrorKind.ToolMissing, $"can't start {command.Program}: {e.Message}", "install the program or correct its path", e);
        }

        return new ChildProcess(process, command, _log);
    }

    /// <summary>Runs a program that reads nothing and returns what it wrote to stdout (at most 16 MiB, UTF-8).</summary>
    /// <exception cref="ChildProcessException">It failed.</exception>
    public async Task<string> ReadOutputAsync(ChildCommand command, CancellationToken cancel)
    {
        await using var child = Start(command);
        child.CloseInput();
        var text = await child.ReadTextAsync(cancel);
        await child.EnsureSuccessAsync(cancel);
        return text;
    }

    private ProcessStartInfo StartInfo(ChildCommand command)
    {
        // setsid(1) calls setsid(2) and execs the program in place: the child's pid is then its process group too.
        var ownSession = _setsid is not null && !command.KeepTerminal;
        var info = new ProcessStartInfo(ownSession ? _setsid! : command.Program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = command.Directory ?? string.Empty,
        };
        if (ownSession)
        {
            info.ArgumentList.Add(command.Program);
        }

        foreach (var argument in command.Arguments)
        {
            info.ArgumentList.Add(argument);
        }

        foreach (var name in _hidden)
        {
            info.Environment.Remove(name);
        }

        foreach (var (name, value) in command.Environment)
        {
            if (value is null)
            {
                info.Environment.Remove(name);
            }
            else
            {
                info.Environment[name] = value;
            }
        }

        return info;
    }
}
