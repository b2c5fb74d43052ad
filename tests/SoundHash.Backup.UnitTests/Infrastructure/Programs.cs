using System.Diagnostics;
using System.Text;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>What a program did.</summary>
internal sealed record ProgramResult(int ExitCode, byte[] Output, string Error)
{
    public string Text => Encoding.UTF8.GetString(Output);

    public ProgramResult Expect(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"expected exit code {exitCode}, got {ExitCode}: {Error}{Text}");
        return this;
    }
}

/// <summary>
/// Runs real programs (zstd, gzip, age, gpg) to compare with, by means of .NET alone: nothing of what is tested takes part.
/// </summary>
internal static class Programs
{
    public static async Task<ProgramResult> RunAsync(
        string program, IReadOnlyList<string> arguments, byte[]? input = null, params (string Name, string Value)[] environment)
    {
        var info = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in environment)
        {
            info.Environment[name] = value;
        }

        var process = Process.Start(info)!;
        var output = new MemoryStream();
        var read = process.StandardOutput.BaseStream.CopyToAsync(output, TestRun.Cancel);
        var error = process.StandardError.ReadToEndAsync(TestRun.Cancel);
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(input ?? [], TestRun.Cancel);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The program did not want all of its input; its exit code says what it thinks of that.
        }

        await read;
        await process.WaitForExitAsync(TestRun.Cancel);
        var result = new ProgramResult(process.ExitCode, output.ToArray(), await error);
        process.Dispose();
        return result;
    }

    /// <summary>Runs a program that must succeed and returns its stdout.</summary>
    public static async Task<byte[]> FilterAsync(string program, IReadOnlyList<string> arguments, byte[] input) =>
        (await RunAsync(program, arguments, input)).Expect(0).Output;
}
