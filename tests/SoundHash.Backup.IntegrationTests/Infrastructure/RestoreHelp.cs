using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>What tests of restores need again and again.</summary>
public static class RestoreHelp
{
    /// <summary>A name that no other test uses.</summary>
    public static string NewName(string prefix = "r") => $"{prefix}_{Guid.NewGuid().ToString("n")[..10]}";

    /// <summary>The name under which a target is filled before it gets its own.</summary>
    public static string WorkingName(string target) =>
        $"shbackup_restore_{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(target)))[..12]}";

    /// <summary>Asserts that a failed restore left neither its target nor anything half done.</summary>
    public static async Task NothingIsLeftAsync(this PostgresCluster cluster, string target)
    {
        var left = await cluster.TextAsync(
            "postgres",
            $"SELECT string_agg(datname, ', ') FROM pg_database WHERE datname LIKE '{target}%' OR datname = '{WorkingName(target)}'");
        Assert.Null(left);
    }

    /// <summary>The databases whose name begins so, without the begin.</summary>
    public static Task<string?> SiblingAsync(this PostgresCluster cluster, string target, string word) =>
        cluster.TextAsync(
            "postgres",
            $"SELECT datname FROM pg_database WHERE datname LIKE '{target.Replace("_", @"\_", StringComparison.Ordinal)}\\_{word}\\_%'");

    /// <summary>Runs shbackup on a terminal of its own and types an answer.</summary>
    public static async Task<CommandResult> RunOnTerminalAsync(this Workspace work, string typed, params string[] arguments)
    {
        // Writes the .env file too.
        (await work.RunAsync("--version")).Expect(0);
        var command = string.Join(' ', arguments.Prepend(Workspace.Executable).Select(static a => $"'{a}'"));
        var environment = work.CleanEnvironment();
        environment["SHELL"] = "/bin/sh";
        return await Command.RunAsync("/usr/bin/script", ["-qec", command, "/dev/null"], environment, work.Folder, typed);
    }

    public static Task SignalAsync(Process process, string signal) => Command.ShellAsync($"kill -{signal} {process.Id}");

    /// <summary>
    /// Makes a PG_BIN_DIR in which one program is a script of the test. Its other programs are the real ones, and
    /// <c>$REAL</c> in the script is the real program.
    /// </summary>
    public static string FakePrograms(this Workspace work, string program, string script) => work.FakePrograms([program], script);

    /// <summary>As <see cref="FakePrograms(Workspace, string, string)"/>, with the same script in the place of several.</summary>
    public static string FakePrograms(this Workspace work, IEnumerable<string> programs, string script)
    {
        var real = PostgresPrograms.Directory;
        var folder = Path.Combine(work.Folder, "fakebin");
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.EnumerateFiles(real))
        {
            File.CreateSymbolicLink(Path.Combine(folder, Path.GetFileName(file)), file);
        }

        foreach (var program in programs)
        {
            var path = Path.Combine(folder, program);
            File.Delete(path);
            File.WriteAllText(path, $"#!/bin/sh\nREAL={real}/{program}\n{script}\n");
            File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
        }

        work.Set("PG_BIN_DIR", folder);
        return folder;
    }
}
