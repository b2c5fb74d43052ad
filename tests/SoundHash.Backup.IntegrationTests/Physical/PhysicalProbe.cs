using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>What tests of physical backups ask again and again.</summary>
internal static class PhysicalProbe
{
    public static readonly string[] Arguments = ["backup", "--kind", "physical", "--jobs", "2"];

    /// <summary>Makes a physical set and returns its id.</summary>
    public static Task<string> BackupPhysicalAsync(this Workspace work, params string[] more) => work.BackupAsync(["--kind", "physical", .. more]);

    /// <summary>The contents of an unencrypted set.</summary>
    public static async Task<JsonObject> ContentsAsync(this Workspace work, string id)
    {
        var editor = new SetEditor(work.SetFolder(id));
        return JsonNode.Parse((await Command.ShellAsync($"zstd -dc '{editor[editor.Key("contents")]}'")).Output)!.AsObject();
    }

    /// <summary>Paths of the files of an unencrypted set.</summary>
    public static async Task<HashSet<string>> FilesAsync(this Workspace work, string id) =>
        (await work.ContentsAsync(id))["files"]!.AsArray().Select(static f => (string)f!["path"]!).ToHashSet();

    /// <summary>The ids of what is listed.</summary>
    public static async Task<IReadOnlyList<string>> SetsAsync(this Workspace work) =>
        (await work.JsonAsync(0, "backup", "list")).GetProperty("sets").EnumerateArray().Select(static s => s.GetProperty("id").GetString()!).ToList();

    /// <summary>The most memory that a process has had, in MiB; 0 when it is gone.</summary>
    public static int PeakMemory(Process process)
    {
        try
        {
            var line = File.ReadLines($"/proc/{process.Id}/status").FirstOrDefault(static l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? 0 : int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    /// <summary>The paths of the files that a process has open; none when it is gone.</summary>
    public static IReadOnlyList<string> OpenFiles(Process process)
    {
        try
        {
            return Directory.GetFileSystemEntries($"/proc/{process.Id}/fd").Select(static f => new FileInfo(f).LinkTarget).OfType<string>().ToList();
        }
        catch (IOException)
        {
            return [];
        }
    }

    /// <summary>Waits until a backup that was started holds its server in backup mode, and has begun to copy its files.</summary>
    public static Task CopyingAsync(PostgresCluster cluster, Process backup) => Eventually.TrueAsync(
        () =>
        {
            Assert.False(backup.HasExited, "the backup ended, and was never seen copying");
            var open = OpenFiles(backup);
            return open.Any(f => f.StartsWith($"{cluster.DataDirectory}/", StringComparison.Ordinal))
                && open.Any(static f => f.Contains("/sets/", StringComparison.Ordinal));
        },
        "files are being copied");
}
