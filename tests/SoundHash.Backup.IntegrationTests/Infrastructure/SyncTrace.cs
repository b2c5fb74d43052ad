using System.Text.RegularExpressions;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>The calls with which a program makes what it writes durable, in order, as strace(1) saw them.</summary>
public sealed partial class SyncTrace(string path)
{
    /// <summary>What to put before a command: strace, writing to the file.</summary>
    public string Prefix => $"strace -f -qq -y -s 4096 -o '{path}' -e trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat";

    /// <summary>
    /// Fails unless each file was synced before it got its name, and its directory after that; and each directory on the way to it
    /// that was made had its own name synced.
    /// </summary>
    public void AssertDurable(IReadOnlyCollection<string> files)
    {
        var calls = File.ReadAllLines(path);
        Assert.NotEmpty(files);
        foreach (var file in files)
        {
            var named = Array.FindLastIndex(calls, l => Naming().Match(l) is { Success: true } m && m.Groups["to"].Value == file);
            Assert.True(named >= 0, $"{file} did not appear by a rename or a link");
            var from = Naming().Match(calls[named]).Groups["from"].Value;
            var synced = from.StartsWith("/proc/self/fd/", StringComparison.Ordinal) ? $"sync({from["/proc/self/fd/".Length..]}<" : $"<{from}>";
            Assert.True(IsSynced(calls[..named], synced), $"{file} got its name, from {from}, before it was synced");
            Assert.True(IsSynced(calls[named..], $"<{Path.GetDirectoryName(file)}>"), $"{file} has its name, and its directory was not synced after that");
        }

        for (var i = 0; i < calls.Length; i++)
        {
            if (Making().Match(calls[i]) is { Success: true } made && files.Any(f => f.StartsWith($"{made.Groups["path"].Value}/", StringComparison.Ordinal)))
            {
                var directory = made.Groups["path"].Value;
                Assert.True(IsSynced(calls[i..], $"<{Path.GetDirectoryName(directory)}>"), $"{directory} was made, and the directory above it was not synced after that");
            }
        }
    }

    private static bool IsSynced(IEnumerable<string> calls, string what) =>
        calls.Any(l => l.Contains("sync(", StringComparison.Ordinal) && l.Contains(what, StringComparison.Ordinal));

    [GeneratedRegex("(?:rename|link)\\w*\\([^\"]*\"(?<from>[^\"]+)\"[^\"]*\"(?<to>[^\"]+)\"", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Naming();

    [GeneratedRegex("mkdir\\w*\\([^\"]*\"(?<path>[^\"]+)\"[^\"]*= 0$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Making();
}
