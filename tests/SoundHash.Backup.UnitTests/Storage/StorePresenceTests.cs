using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Storage;

/// <summary>A disk that is not mounted is no empty store, and nothing is written below its mount point.</summary>
public sealed class StorePresenceTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("disk", "backups", "disk")]
    [InlineData("disk", "", "disk")]
    [InlineData("disk/", "backups/main", "disk")]
    [InlineData(@"a\040disk", "backups", "a disk")]
    [InlineData("other", "backups", null)]
    [InlineData("dis", "backups", null)]
    public void A_mount_point_of_fstab_without_its_disk_is_told(string entry, string below, string? expected)
    {
        var table = Write("fstab", $"  # /dev/sda1 {_folder["other"]} ext4", $"#/dev/sda1 {_folder["disk"]} ext4", "proc /proc proc defaults 0 0", $"UUID=1\t{_folder[entry]}  ext4 defaults,nofail 0 2", "UUID=2 none swap sw 0 0");
        var mounted = Write("mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw");

        var found = Unmounted(Path.Combine(_folder[expected ?? "disk"], below), table, mounted);

        Assert.Equal(expected is null ? null : _folder[expected], found);
    }

    [Fact]
    public void A_disk_that_is_mounted_is_there_and_so_is_all_where_there_is_no_table()
    {
        var table = Write("fstab", $"UUID=1 {_folder["disk"]} ext4 defaults 0 2", "UUID=3 / ext4 defaults 0 1");
        var mounted = Write("mountinfo", $"22 27 0:21 / {_folder["disk"]} rw,relatime shared:1 - ext4 /dev/sdb1 rw");

        Assert.Null(Unmounted(_folder["disk/backups"], table, mounted));
        Assert.Null(Unmounted(_folder["disk/backups"], _folder["none"], mounted));
    }

    [Fact]
    public void A_link_to_a_mount_point_is_followed()
    {
        Directory.CreateDirectory(_folder["disk"]);
        Directory.CreateSymbolicLink(_folder["link"], _folder["disk"]);
        var table = Write("fstab", $"UUID=1 {_folder["disk"]} ext4 defaults 0 2");

        Assert.Equal(_folder["disk"], Unmounted(_folder["link/backups"], table, Write("mountinfo", string.Empty)));
    }

    private static string? Unmounted(string directory, string table, string mounted) =>
        StorePresence.UnmountedOf(StorePresence.PointsAbove(directory, table), mounted);

    private string Write(string name, params string[] lines)
    {
        File.WriteAllLines(_folder[name], lines);
        return _folder[name];
    }
}
