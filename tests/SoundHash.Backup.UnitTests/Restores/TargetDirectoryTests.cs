using SoundHash.Backup.Errors;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.UnitTests.Restores;

/// <summary>What is said of a place where no data directory can be made.</summary>
public sealed class TargetDirectoryTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_place_that_can_not_be_used_is_told_with_what_helps_and_not_with_another_user()
    {
        var own = new OwnDirectories([("BACKUP_DIR", _folder["backups"])], [("BACKUP_WAL_DIR", _folder["wal"])], _folder["state"], _folder["spool"]);

        var missing = Assert.Throws<BackupException>(() => TargetDirectory.Look(_folder["x/y/z"], own));
        var file = Assert.Throws<BackupException>(() => TargetDirectory.Look(_folder.Write("file", "no directory"), own));

        Assert.Equal($"mkdir -p {_folder["x/y"]}, or choose another --target-dir", missing.Hint);
        Assert.Equal("choose another --target-dir", file.Hint);
    }

    [Fact]
    public void Going_on_in_place_is_offered_only_where_a_data_directory_is()
    {
        var own = new OwnDirectories([("BACKUP_DIR", _folder["backups"])], [("BACKUP_WAL_DIR", _folder["wal"])], _folder["state"], _folder["spool"]);
        _folder.Write("other/notes", "no data directory");
        _folder.Write("data/PG_VERSION", "17\n");

        var other = Assert.Throws<BackupException>(() => TargetDirectory.Look(_folder["other"], own).EnsureFree(mayBeFilled: false));
        var data = Assert.Throws<BackupException>(() => TargetDirectory.Look(_folder["data"], own).EnsureFree(mayBeFilled: false));

        Assert.DoesNotContain("--delta", other.Hint, StringComparison.Ordinal);
        Assert.Contains("--delta", data.Hint, StringComparison.Ordinal);
    }
}
