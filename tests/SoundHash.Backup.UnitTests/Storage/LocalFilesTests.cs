using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Storage;

/// <summary>What the file system is asked for, on file systems that can do less than those of the tests.</summary>
public sealed class LocalFilesTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1)] // EPERM: FAT and exFAT
    [InlineData(95)] // EOPNOTSUPP
    [InlineData(38)] // ENOSYS: FUSE
    [InlineData(31)] // EMLINK
    public void Without_hard_links_a_file_is_renamed_and_replaces_nothing(int linkError)
    {
        _folder.Write("temporary", "new");
        Assert.True(LocalFiles.TryPublish(_folder["temporary"], _folder["name"], (_, _) => linkError, LocalFiles.RenameToNew));
        Assert.Equal(["name"], _folder.Files());

        _folder.Write("temporary", "newer");
        Assert.False(LocalFiles.TryPublish(_folder["temporary"], _folder["name"], (_, _) => linkError, LocalFiles.RenameToNew));
        Assert.Equal("new", File.ReadAllText(_folder["name"]));
    }

    [Theory]
    [InlineData(22)] // EINVAL
    [InlineData(38)] // ENOSYS
    public void Without_either_it_is_said_what_the_file_system_lacks(int renameError)
    {
        var e = Assert.Throws<IOException>(
            () => LocalFiles.TryPublish("/t/temporary", "/t/name", static (_, _) => 1, (_, _) => renameError));

        Assert.StartsWith(
            "the file system of /t/name has neither hard links nor a rename that replaces nothing",
            e.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Another_error_of_a_link_is_reported_and_nothing_is_renamed()
    {
        var e = Assert.Throws<IOException>(() => LocalFiles.TryPublish(
            "/t/temporary", "/t/name", static (_, _) => 28, static (_, _) => throw new InvalidOperationException("renamed")));

        Assert.Equal("can't make /t/name: No space left on device", e.Message);
    }

    [Theory]
    [InlineData(WriteMode.CreateNew)]
    [InlineData(WriteMode.Replace)]
    public async Task A_secret_file_has_no_name_before_it_is_whole_and_is_for_its_owner_alone(WriteMode mode)
    {
        const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        if (mode == WriteMode.Replace)
        {
            _folder.Write("out", "old");
        }

        var before = _folder.Files();
        await using (var file = new AtomicFile(_folder["out"], mode, OwnerOnly, secret: true))
        {
            await file.WriteAsync("secret"u8.ToArray(), Cancel);
            Assert.Equal(before, _folder.Files());
            await file.CompleteAsync(Cancel);
            Assert.Equal(["out"], _folder.Files());
        }

        Assert.Equal("secret", await File.ReadAllTextAsync(_folder["out"], Cancel));
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(_folder["out"]));
        Assert.Equal(["out"], _folder.Files());
    }

    [Fact]
    public async Task A_secret_file_replaces_nothing_that_somebody_made_meanwhile()
    {
        await using var file = new AtomicFile(
            _folder["out"],
            WriteMode.CreateNew,
            UnixFileMode.UserRead | UnixFileMode.UserWrite,
            secret: true);
        await file.WriteAsync("secret"u8.ToArray(), Cancel);
        _folder.Write("out", "theirs");

        await Assert.ThrowsAsync<FileExistsException>(() => file.CompleteAsync(Cancel));

        Assert.Equal("theirs", await File.ReadAllTextAsync(_folder["out"], Cancel));
    }

    [Fact]
    public void A_file_is_known_again_under_another_name_and_not_in_another_one_s_place()
    {
        using var file = LocalFiles.OpenOrCreate(_folder["file"]);
        File.CreateSymbolicLink(_folder["link"], "file");
        _folder.Write("other", "x");

        Assert.True(LocalFiles.IsSameFile(file, _folder["file"]));
        Assert.True(LocalFiles.IsSameFile(file, _folder["link"]));
        Assert.False(LocalFiles.IsSameFile(file, _folder["other"]));
        File.Delete(_folder["file"]);
        Assert.False(LocalFiles.IsSameFile(file, _folder["file"]));
        _folder.Write("file", "x");
        Assert.False(LocalFiles.IsSameFile(file, _folder["file"]));
    }
}
