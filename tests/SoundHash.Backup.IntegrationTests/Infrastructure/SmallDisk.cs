using System.Diagnostics;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// A file system in memory that belongs to PostgreSQL's user. A watchdog shell unmounts it when our end of its stdin closes, so that
/// nothing is left even when the test process is killed.
/// </summary>
public sealed class SmallDisk : IAsyncDisposable
{
    private readonly Process _watchdog;
    private readonly string _path;
    private readonly string _size;

    private SmallDisk(Process watchdog, string path, string size)
    {
        _watchdog = watchdog;
        _path = path;
        _size = size;
    }

    /// <summary>Mounts it on a directory.</summary>
    public static async Task<SmallDisk> MountAsync(string path, string size)
    {
        const string Script = """mount -t tmpfs -o "size=$2" none "$1" && echo mounted && cat >/dev/null; umount -l "$1" """;
        var watchdog = Command.Start("/usr/bin/setsid", ["/bin/sh", "-c", Script, "sh", path, size], null, "/");
        if (await watchdog.StandardOutput.ReadLineAsync() != "mounted")
        {
            Assert.Fail($"{path} can't be mounted: {await watchdog.StandardError.ReadToEndAsync()}");
        }

        await ArchivingCluster.GiveToPostgresAsync(path);
        return new SmallDisk(watchdog, path, size);
    }

    /// <summary>Leaves no room: the disk becomes as small as what is on it.</summary>
    public async Task FillAsync()
    {
        // Whoever writes at that moment may need a little more than was counted.
        const string Script =
            """
            for try in 1 2 3 4 5 6 7 8 9 10; do
              mount -o "remount,size=$(df --output=used -B1 "$DISK" | tail -1)" "$DISK" 2>/dev/null && exit 0
            done
            exit 1
            """;
        await Command.ShellAsync(Script, new Dictionary<string, string?> { ["DISK"] = _path });
    }

    /// <summary>Gives it its size again.</summary>
    public Task MakeRoomAsync() =>
        Command.ShellAsync("""mount -o "remount,size=$SIZE" "$DISK" """, new Dictionary<string, string?> { ["DISK"] = _path, ["SIZE"] = _size });

    public async ValueTask DisposeAsync()
    {
        _watchdog.StandardInput.Close();
        await _watchdog.WaitForExitAsync();
        _watchdog.Dispose();
    }
}
