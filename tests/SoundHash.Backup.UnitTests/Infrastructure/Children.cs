using System.Globalization;
using System.Reflection;
using Serilog.Core;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>Child programs for tests.</summary>
internal static class Children
{
    private static readonly string Probe =
        typeof(Children).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(static a => a.Key == "ChildProbe").Value!;

    public static ProcessLauncher Launcher { get; } = new(Logger.None);

    /// <summary>The probe program (tests/SoundHash.Backup.ChildProbe) with a verb.</summary>
    public static ChildCommand ProbeCommand(string verb, long? number = null) =>
        new(Probe, number is { } n ? [verb, n.ToString(CultureInfo.InvariantCulture)] : [verb]);

    public static ChildCommand Shell(string script) => new("/bin/sh", ["-c", script]);

    /// <summary>Reads a child's stdout until it has a whole line: the child's sign that it is where the test wants it.</summary>
    public static async Task<string> ReadLineAsync(this ChildProcess child)
    {
        var line = string.Empty;
        var one = new byte[1];
        while (!line.EndsWith('\n'))
        {
            Assert.Equal(1, await child.ReadOutputAsync(one, TestRun.Cancel));
            line += (char)one[0];
        }

        return line.TrimEnd('\n');
    }

    /// <summary>Waits for the end of a process that is none of our children: it closes its files a moment before it is gone.</summary>
    public static async Task EndedAsync(int pid)
    {
        while (IsAlive(pid))
        {
            await Task.Delay(2, TestRun.Cancel);
        }
    }

    /// <summary>True while the process exists and is no zombie.</summary>
    public static bool IsAlive(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[stat.LastIndexOf(')') + 2] != 'Z';
        }
        catch (Exception e) when (e is IOException)
        {
            return false;
        }
    }
}
