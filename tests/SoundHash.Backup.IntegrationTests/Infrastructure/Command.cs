using System.Diagnostics;
using System.Text;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>What a program did.</summary>
public sealed record CommandResult(int ExitCode, string Output, string Error)
{
    /// <summary>Everything, for the message of a failed assertion.</summary>
    public override string ToString() => $"exit code {ExitCode}\n--- stdout\n{Output}\n--- stderr\n{Error}";

    /// <summary>Asserts an exit code and shows all output when it is another.</summary>
    public CommandResult Expect(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"expected exit code {exitCode}, got {this}");
        return this;
    }

    /// <summary>Asserts that stderr has a text (the error line, the hint).</summary>
    public CommandResult Says(string text)
    {
        Assert.True(Error.Contains(text, StringComparison.Ordinal), $"expected stderr to have '{text}': {this}");
        return this;
    }
}

/// <summary>Runs real programs.</summary>
public static class Command
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    public static Task<CommandResult> RunAsync(string program, params string[] arguments) => RunAsync(program, arguments, null, null);

    public static async Task<CommandResult> RunAsync(
        string program,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string,
        string?>? environment,
        string? directory,
        string? input = null)
    {
        using var process = Start(program, arguments, environment, directory);
        if (input is not null)
        {
            await process.StandardInput.WriteAsync(input);
        }

        process.StandardInput.Close();
        return await FinishAsync(process);
    }

    /// <summary>Starts a program whose end the test wants to meddle with.</summary>
    public static Process Start(
        string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string?>? environment, string? directory)
    {
        var info = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = directory ?? string.Empty,
        };
        foreach (var argument in arguments)
        {
            info.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
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

        return Process.Start(info)!;
    }

    /// <summary>Waits for the end of a program, and kills it when it hangs.</summary>
    public static async Task<CommandResult> FinishAsync(Process process)
    {
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException e)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{process.StartInfo.FileName} hung: {await error}", e);
        }

        return new CommandResult(process.ExitCode, await output, await error);
    }

    /// <summary>Runs a shell script that must succeed.</summary>
    public static async Task<CommandResult> ShellAsync(
        string script,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? directory = null) =>
        (await RunAsync("/bin/bash", ["-euo", "pipefail", "-c", script], environment, directory)).Expect(0);

    /// <summary>Asserts that a file is as a program would have it, in the encoding that shbackup writes.</summary>
    public static string ReadText(string path) => File.ReadAllText(path, Encoding.UTF8);
}
