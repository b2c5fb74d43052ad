using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.StorageContract;

/// <summary>The store in a directory: the contract, and what a directory can do to it.</summary>
public sealed class LocalObjectStoreContract : ObjectStoreContract, IDisposable
{
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _folder = Directory.CreateTempSubdirectory("shbackup-store-").FullName;

    private string Root => Path.Combine(_folder, "root");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    protected override IObjectStore Open() => new LocalObjectStore(Root);

    [Fact]
    public async Task Files_and_folders_are_for_their_owner_alone()
    {
        await Open().PutAsync("sets/a/dump", "x");

        Assert.Equal(OwnerFile, File.GetUnixFileMode(Path.Combine(Root, "sets/a/dump")));
        Assert.All(
            ["", "sets", "sets/a"],
            folder => Assert.Equal(OwnerFile | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.Combine(Root, folder))));
    }

    [Fact]
    public async Task A_group_may_read_when_it_is_given_and_never_write()
    {
        var status = await File.ReadAllLinesAsync("/proc/self/status", Cancel);
        var group = status.First(static l => l.StartsWith("Gid:", StringComparison.Ordinal)).Split('\t')[1];
        await new LocalObjectStore(Root, group).PutAsync("sets/a/dump", "x");

        Assert.Equal(OwnerFile | UnixFileMode.GroupRead, File.GetUnixFileMode(Path.Combine(Root, "sets/a/dump")));
        Assert.Equal(
            OwnerFile | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute,
            File.GetUnixFileMode(Path.Combine(Root, "sets")));
    }

    [Fact]
    public async Task No_empty_folder_is_left_of_what_was_deleted_or_given_up()
    {
        var store = Open();
        await store.PutAsync("sets/a/dump", "x");
        await using (await store.OpenWriteAsync("sets/b/dump", WriteMode.CreateNew, Cancel))
        {
        }

        await store.RemoveAbandonedWritesAsync("sets/b/", DateTimeOffset.MaxValue, Cancel);
        Assert.Equal(["sets/a"], Directory.GetDirectories(Path.Combine(Root, "sets")).Select(d => Path.GetRelativePath(Root, d)));
        await store.DeleteAsync("sets/a/dump", Cancel);

        Assert.Empty(Directory.EnumerateFileSystemEntries(Root));
    }

    [Theory]
    [InlineData("root")]
    [InlineData("root/sets")]
    public async Task A_file_in_place_of_a_folder_is_no_empty_store(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(_folder, path))!);
        await File.WriteAllTextAsync(Path.Combine(_folder, path), "a file", Cancel);

        var e = await Assert.ThrowsAsync<StorageException>(() => Open().KeysAsync("sets/"));

        Assert.Equal($"{Path.Combine(_folder, path)} is a file where store local needs a directory", e.Message);
    }

    [Fact]
    public async Task What_a_symbolic_link_leads_to_is_listed_as_it_is_read()
    {
        var store = Open();
        await store.PutAsync("sets/a/dump", "x");
        await store.PutAsync("sets/b/manifest.json", "xyz");
        Directory.Move(Path.Combine(Root, "sets/a"), Path.Combine(_folder, "elsewhere"));
        Directory.CreateSymbolicLink(Path.Combine(Root, "sets/a"), Path.Combine(_folder, "elsewhere"));
        File.Move(Path.Combine(Root, "sets/b/manifest.json"), Path.Combine(_folder, "manifest"));
        File.CreateSymbolicLink(Path.Combine(Root, "sets/b/manifest.json"), "../../../manifest");
        Directory.CreateSymbolicLink(Path.Combine(_folder, "link"), Root);

        foreach (var one in (IObjectStore[])[store, new LocalObjectStore(Path.Combine(_folder, "link"))])
        {
            var found = new List<(string, long)>();
            await foreach (var item in one.ListAsync(string.Empty, Cancel))
            {
                found.Add((item.Key, item.Size));
            }

            Assert.Equal([("sets/a/dump", 1), ("sets/b/manifest.json", 3)], found.Order());
            Assert.Equal(["sets/a/dump"], await one.KeysAsync("sets/a/"));
        }

        await store.DeleteAsync("sets/a/dump", Cancel);
        Assert.Equal(["sets/b/manifest.json"], await store.KeysAsync("sets/"));
    }

    // Sets and timelines have no folders: what is behind such a link is nobody's here, and must not be removed with them.
    [Fact]
    public async Task A_link_to_a_folder_within_a_set_is_a_link_and_no_folder()
    {
        var store = Open();
        var outside = Path.Combine(_folder, "elsewhere");
        Directory.CreateDirectory(outside);
        await File.WriteAllTextAsync(Path.Combine(outside, "theirs"), "x", Cancel);
        await store.PutAsync("sets/a/dump", "x");
        Directory.CreateSymbolicLink(Path.Combine(Root, "sets/a/link"), outside);

        Assert.Equal(["sets/a/dump", "sets/a/link"], (await store.KeysAsync("sets/")).Order());
        await store.DeleteAsync("sets/a/link", Cancel);

        Assert.Equal(["sets/a/dump"], await store.KeysAsync("sets/"));
        Assert.True(File.Exists(Path.Combine(outside, "theirs")));
    }

    [Theory]
    [InlineData("/nowhere/at/all", "leads nowhere")]
    [InlineData("a", "leads nowhere")]
    [InlineData("..", "leads to a directory that it is in")]
    public async Task A_symbolic_link_that_can_not_be_followed_is_an_error_that_names_it(string target, string reason)
    {
        var store = Open();
        await store.PutAsync("sets/b/dump", "x");
        var link = Path.Combine(Root, "sets/a");
        Directory.CreateSymbolicLink(link, target);

        var e = await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync(string.Empty));

        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        Assert.Contains(link, e.Message, StringComparison.Ordinal);
        Assert.NotNull(e.Hint);
        Assert.Equal(["sets/b/dump"], await store.KeysAsync("sets/b/"));
    }

    // Stands for every path that can't be looked into; permissions mean nothing to root.
    [Fact]
    public async Task A_path_that_can_not_be_looked_into_is_an_error_of_every_operation_and_never_an_empty_store()
    {
        File.CreateSymbolicLink(Path.Combine(_folder, "loop"), "loop");
        var store = new LocalObjectStore(Path.Combine(_folder, "loop", "root"));

        foreach (var attempt in (Func<Task>[])[
            () => store.KeysAsync("sets/"),
            () => store.KeysAsync(string.Empty),
            async () => await store.StatAsync("sets/a/manifest.json", Cancel),
            async () => await store.ConfirmAsync("sets/a/manifest.json", Cancel),
            async () => await store.OpenReadAsync("sets/a/manifest.json", 0, Cancel),
            () => store.DeleteAsync("sets/a/manifest.json", Cancel),
            () => store.PutAsync("sets/a/manifest.json", "x"),
            () => store.RemoveAbandonedWritesAsync("sets/", DateTimeOffset.MaxValue, Cancel),
        ])
        {
            var e = await Assert.ThrowsAsync<StorageException>(attempt);
            Assert.Contains("local", e.Message, StringComparison.Ordinal);
        }
    }

    // Address 0 of a process is never mapped: the kernel answers EIO.
    [Fact]
    public async Task A_disk_that_fails_while_it_is_read_is_an_error_of_the_store_that_names_the_object()
    {
        await using var memory = await new LocalObjectStore("/proc/self").OpenReadAsync("mem", 0, Cancel);

        var e = await Assert.ThrowsAsync<StorageException>(async () => await memory.ReadExactlyAsync(new byte[1], Cancel));

        Assert.StartsWith("can't read mem in store local (/proc/self): ", e.Message, StringComparison.Ordinal);
        Assert.Equal(ErrorKind.Storage, e.Kind);
    }

    [Fact]
    public async Task An_object_that_can_not_be_completed_is_an_error_of_the_store_that_names_it_and_disposing_it_hides_that_not()
    {
        var store = Open();
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);
        Directory.Delete(Root, recursive: true);

        var e = await Assert.ThrowsAsync<StorageException>(() => writer.CompleteAsync(Cancel));

        Assert.StartsWith($"can't write k in store local ({Root}): ", e.Message, StringComparison.Ordinal);
    }
}
