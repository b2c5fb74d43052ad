using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>A store that goes away in the middle fails the backup or the restore; when it is back, nothing half is in it, and all goes on.</summary>
public sealed class LostStoreTests(ScriptArchivingCluster cluster) : IClassFixture<ScriptArchivingCluster>
{
    [Theory]
    [InlineData("taken away")]
    [InlineData("full")]
    public async Task A_backup_whose_store_is_lost_while_files_are_copied_is_no_set_and_the_next_one_works(string how)
    {
        using var work = cluster.Workspace().Set("BACKUP_RATE_LIMIT", "4M");
        Directory.CreateDirectory(work.Repository);
        await using var disk = await SmallDisk.MountAsync(work.Repository, "200m");
        var sets = Path.Combine(work.Repository, "sets");
        using (var backup = work.Start(PhysicalProbe.Arguments))
        {
            await PhysicalProbe.CopyingAsync(cluster, backup);
            if (how == "full")
            {
                await disk.FillAsync();
            }
            else
            {
                Directory.Move(sets, $"{sets}.away");
            }

            var result = (await Command.FinishAsync(backup)).Expect(6);
            Assert.Contains("hint: ", result.Error, StringComparison.Ordinal);
        }

        if (how == "full")
        {
            await disk.MakeRoomAsync();
        }
        else
        {
            // Nor was it made anew, which would be the place where a disk was mounted.
            Assert.False(Directory.Exists(sets));
            Directory.Move($"{sets}.away", sets);
        }

        Assert.Empty(await work.SetsAsync());
        Assert.Null(await cluster.TextAsync("postgres", "SELECT 'yes' FROM pg_stat_activity WHERE application_name = 'shbackup'"));
        work.Unset("BACKUP_RATE_LIMIT");

        var id = await work.BackupPhysicalAsync();

        Assert.Equal([work.SetFolder(id)], Directory.GetDirectories(sets));
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
    }

    [Fact]
    public async Task A_restore_whose_store_is_lost_leaves_a_directory_that_no_server_starts_on_and_can_be_done_again()
    {
        using var work = cluster.Workspace();
        var id = await work.BackupPhysicalAsync();
        await using var restored = await RestoredServer.PlaceAsync();
        string[] arguments = ["restore", "--backup", id, "--target-dir", restored.Data, "--yes"];
        var (sets, away) = (Path.Combine(work.Repository, "sets"), Path.Combine(work.Folder, "away"));
        work.Set("BACKUP_RATE_LIMIT", "4M");
        using (var restore = work.Start(arguments))
        {
            await Eventually.TrueAsync(() => Directory.Exists(Path.Combine(restored.Data, "base", "1")), "files are being restored");
            Directory.Move(sets, away);

            (await Command.FinishAsync(restore)).Expect(6).Says("hint: ");
        }

        Assert.False(File.Exists(restored.ControlFile));
        Directory.Move(away, sets);
        work.Unset("BACKUP_RATE_LIMIT");
        (await work.RunAsync([.. arguments, "--delta"])).Expect(0);
        await restored.VerifyAsync();
    }
}
