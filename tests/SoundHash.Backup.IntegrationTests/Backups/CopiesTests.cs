using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Sets in several stores: one pass to all of them, and each of them enough to restore from.</summary>
public sealed class CopiesTests(PostgresCluster cluster)
{
    [Fact]
    public async Task A_backup_to_two_disks_is_restored_from_each_of_them_alone()
    {
        using var work = await TwoDisksAsync();
        await work.UseAgeAsync();

        var id = Set(await work.RunAsync("backup", "--jobs", "2", "--json"));

        Assert.Equal(Files(work.SetFolder(id)), Files(Path.Combine(Second(work), "sets", id)));
        var listed = await work.RunAsync("backup", "list");
        Assert.Contains("local,second-disk", listed.Output, StringComparison.Ordinal);
        foreach (var (from, lost) in ((string, string)[])[("second-disk", work.Repository), ("local", Second(work))])
        {
            Directory.Move(lost, $"{lost}.lost");
            var target = RestoreHelp.NewName();
            (await work.RunAsync("restore", "--latest", "--from", from, "--target-db", target)).Expect(0);
            Directory.Move($"{lost}.lost", lost);
        }
    }

    [Fact]
    public async Task A_restore_goes_over_to_the_other_disk_where_the_first_one_lacks_objects()
    {
        using var work = await TwoDisksAsync();
        var id = Set(await work.RunAsync("backup", "--json"));
        File.Delete(Directory.GetFiles(work.SetFolder(id), "database.dump*").Single());

        var list = await work.RunAsync("backup", "list");
        list.Expect(8).Says($"the copy of set {id} in store local is damaged");
        Assert.Contains("local:damaged,second-disk", list.Output, StringComparison.Ordinal);
        (await work.RunAsync("backup", "verify", id)).Expect(8);
        (await work.RunAsync("backup", "verify", id, "--from", "second-disk")).Expect(0);
        (await work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0);
        (await work.RunAsync("restore", "--latest", "--from", "local", "--target-db", RestoreHelp.NewName())).Expect(6);
    }

    // Nothing but reading it shows the damage; what is encrypted is never given out wrong.
    [Fact]
    public async Task A_restore_goes_over_to_the_other_disk_in_the_middle_of_an_object_that_turns_out_to_be_damaged()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        Directory.CreateDirectory(Second(work));
        work.Set("BACKUP_STORE_SECOND_DISK_TYPE", "local").Set("BACKUP_STORE_SECOND_DISK_DIR", Second(work));
        await work.UseAgeAsync();
        var id = Set(await work.RunAsync("backup", "--json"));
        SetEditor.FlipBit(Directory.GetFiles(work.SetFolder(id), "database.dump*").Single());

        var restored = await work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName());

        restored.Expect(0).Says("is read on from another copy, at byte ");
        (await work.RunAsync("restore", "--latest", "--from", "local", "--target-db", RestoreHelp.NewName())).Expect(8);
    }

    [Theory]
    [InlineData("1", 10, "partial")]
    [InlineData("2", 6, "storage")]
    public async Task A_disk_that_is_gone_costs_one_copy_and_not_the_backup(string required, int code, string kind)
    {
        using var work = await TwoDisksAsync();
        work.Set("BACKUP_REQUIRED_COPIES", required);
        Directory.Delete(Second(work));

        var result = await work.RunAsync("backup", "--json");

        result.Expect(code).Says("the directory of store second-disk, does not exist");
        var item = Document(result).GetProperty("databases")[0];
        Assert.Equal(kind, item.GetProperty("error").GetProperty("kind").GetString());
        Assert.Equal(
            [("local", "done"), ("second-disk", "failed")],
            item.GetProperty("copies").EnumerateArray().Select(static c => (c.GetProperty("store").GetString(), c.GetProperty("state").GetString())));
        Assert.False(Directory.Exists(Second(work)));

        // The next run makes both again, and what there is can be restored all the same.
        (await work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0);
        Directory.CreateDirectory(Second(work));
        (await work.RunAsync("backup")).Expect(0);
        (await work.RunAsync("backup", "list")).Expect(0);
    }

    [Fact]
    public async Task A_disk_that_fills_up_in_the_middle_costs_its_copy_alone_and_keeps_nothing_of_it()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        var small = Path.Combine(work.Folder, "small");
        Directory.CreateDirectory(small);
        await using var disk = await SmallDisk.MountAsync(small, "2m");
        work.Set("BACKUP_STORE_SMALL_TYPE", "local").Set("BACKUP_STORE_SMALL_DIR", small).Set("BACKUP_COMPRESSION", "none");

        var result = await work.RunAsync("backup", "--json");

        result.Expect(6).Says("No space left on device");
        var id = Document(result).GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!;
        Assert.Equal(["repository.json"], Directory.GetFiles(small, "*", SearchOption.AllDirectories).Select(Path.GetFileName));
        (await work.RunAsync("backup", "verify", id, "--from", "local")).Expect(0);
    }

    // Its mount point is there, and empty: it would look like a new store, or like one without sets.
    [Fact]
    public async Task A_disk_that_is_not_mounted_is_no_new_store_and_no_empty_one()
    {
        using var work = await TwoDisksAsync();
        var table = Path.Combine(work.Folder, "fstab");
        await File.WriteAllTextAsync(table, $"UUID=1 {work.Repository} ext4 nofail 0 2\n", TestContext.Current.CancellationToken);
        Directory.CreateDirectory(work.Repository);
        Task<CommandResult> UnmountedAsync(string verb) => Command.FinishAsync(
            work.StartShell($"unshare -m sh -c 'mount --bind {table} /etc/fstab && exec {Workspace.Executable} backup {verb}'"));

        (await UnmountedAsync(string.Empty)).Expect(6).Says($"nothing is mounted on {work.Repository}").Says("the copy in second-disk is whole");
        (await UnmountedAsync("list")).Expect(6).Says($"nothing is mounted on {work.Repository}");

        Assert.Empty(Directory.GetFileSystemEntries(work.Repository));
    }

    [Fact]
    public async Task One_place_under_two_names_is_no_two_copies()
    {
        using var work = await TwoDisksAsync();
        Directory.CreateDirectory(work.Repository);
        Directory.Delete(Second(work));
        Directory.CreateSymbolicLink(Second(work), work.Repository);

        (await work.RunAsync("backup")).Expect(3).Says("is the place of stores local and second-disk");

        Assert.Empty(Directory.GetFiles(work.Repository, "manifest.json", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Pins_and_expiry_reach_every_copy()
    {
        using var work = await TwoDisksAsync();
        var first = Set(await work.RunAsync("backup", "--json"));
        (await work.RunAsync("backup", "keep", first)).Expect(0);
        Assert.True(File.Exists(Path.Combine(Second(work), "sets", first, "keep.json")));

        var result = await work.RunAsync("backup", "expire", "--dry-run");

        result.Expect(0);
        Assert.Equal(1, Lines(result, "local  pinned"));
        Assert.Equal(1, Lines(result, "second-disk  pinned"));
        (await work.RunAsync("backup", "unkeep", first)).Expect(0);
        Assert.False(File.Exists(Path.Combine(Second(work), "sets", first, "keep.json")));
    }

    [Fact]
    public async Task Stores_are_chosen_by_their_names()
    {
        using var work = await TwoDisksAsync();

        var id = Set(await work.RunAsync("backup", "--to", "second-disk", "--json"));

        Assert.False(Directory.Exists(work.SetFolder(id)));
        Assert.True(Directory.Exists(Path.Combine(Second(work), "sets", id)));
        (await work.RunAsync("backup", "--to", "tape")).Expect(2).Says("there is no store 'tape': there are local, s3, gcs, second-disk");
        (await work.RunAsync("restore", "--latest", "--from", "local", "--plan")).Expect(1);
    }

    [Fact]
    public async Task A_store_that_was_missing_gets_everything_by_replicate_and_needs_no_key_for_it()
    {
        using var work = await TwoDisksAsync();
        await work.UseAgeAsync();
        var first = Set(await work.RunAsync("backup", "--to", "local", "--json"));
        var second = Set(await work.RunAsync("backup", "--to", "local", "--json"));
        work.Unset("BACKUP_DECRYPTION_IDENTITY_FILE");

        (await work.RunAsync("backup", "replicate", first, "--from", "local", "--to", "second-disk")).Expect(0);
        (await work.RunAsync("backup", "replicate", "--all", "--from", "local", "--to", "second-disk")).Expect(0);

        Assert.Equal(Files(work.SetFolder(first)), Files(Path.Combine(Second(work), "sets", first)));
        Assert.Equal(Files(work.SetFolder(second)), Files(Path.Combine(Second(work), "sets", second)));
        (await work.RunAsync("backup", "replicate", "--all", "--from", "local", "--to", "local")).Expect(2);
    }

    private async Task<Workspace> TwoDisksAsync()
    {
        var work = new Workspace(cluster, await cluster.CreateDatabaseAsync("CREATE TABLE t AS SELECT generate_series(1, 5000) AS n"));
        Directory.CreateDirectory(Second(work));
        return work.Set("BACKUP_STATE_DIR", "./state").Set("BACKUP_STORE_SECOND_DISK_TYPE", "local").Set("BACKUP_STORE_SECOND_DISK_DIR", "./second");
    }

    private static string Second(Workspace work) => Path.Combine(work.Folder, "second");

    private static JsonElement Document(CommandResult result) => JsonDocument.Parse(result.Output).RootElement;

    private static string Set(CommandResult result) =>
        Document(result.Expect(0)).GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!;

    private static int Lines(CommandResult result, string text) => result.Output.Split('\n').Count(l => l.Contains(text, StringComparison.Ordinal));

    private static IEnumerable<(string, string)> Files(string folder) => Directory.GetFiles(folder)
        .Select(static f => (Path.GetFileName(f), Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(f))))).Order();
}
