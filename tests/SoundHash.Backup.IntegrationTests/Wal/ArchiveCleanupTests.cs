using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>wal-archive cleanup on the archive of a real server. Each test has an archive of its own.</summary>
public sealed class ArchiveCleanupTests : IAsyncLifetime
{
    private readonly CaredForArchive _site = new();

    public ValueTask InitializeAsync() => _site.InitializeAsync();

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task Cleanup_keeps_what_base_backups_need_and_removes_what_is_older_by_name_and_reason()
    {
        var (second, _) = await HandMadeSet.AddAsync(_site.Cluster, "second", SetEditor.Now.AddDays(-40));
        await _site.ReDateAsync("base", SetEditor.Now.AddDays(-60));
        var last = await _site.Cluster.SwitchWalAsync();
        await _site.Cluster.ArchivedAsync(last);
        _site.MakeOld(name => string.CompareOrdinal(name, second) < 0);

        var dry = (await _site.RunAsync("cleanup", "--dry-run")).Expect(0);
        Assert.Contains("would remove", dry.Output, StringComparison.Ordinal);
        Assert.Equal(_site.Segments, _site.SegmentsThere().Take(_site.Segments.Count));

        var done = (await _site.RunAsync("cleanup", "--retention-days", "30")).Expect(0);
        Assert.Contains($"removed  {_site.Segments[0]}", done.Output, StringComparison.Ordinal);
        Assert.Contains("no set needs it", done.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_site.Folder, _site.First)));
        Assert.True(File.Exists(Path.Combine(_site.Folder, second)));
        Assert.False(File.Exists(Path.Combine(_site.Folder, _site.Segments[0])));

        // What was removed is not taken for lost, and the newest set is good for recovery to now.
        (await _site.RunAsync("verify")).Expect(0);
        (await _site.RunAsync("status")).Expect(0);
    }

    [Fact]
    public async Task A_set_and_a_timeline_that_were_moved_to_another_disk_behind_a_link_are_seen_and_nothing_that_the_set_needs_is_removed()
    {
        await HandMadeSet.AddAsync(_site.Cluster, "second", SetEditor.Now.AddDays(-40));
        await _site.ReDateAsync("base", SetEditor.Now.AddDays(-35));
        await _site.Cluster.ArchivedAsync(await _site.Cluster.SwitchWalAsync());
        _site.MakeOld(static _ => true);
        foreach (var folder in (string[])[Path.Combine(_site.Cluster.Site, "backups", "sets", "base"), _site.Folder])
        {
            var moved = Path.Combine(_site.Cluster.Host, $"moved-{Path.GetFileName(folder)}");
            Directory.Move(folder, moved);
            Directory.CreateSymbolicLink(folder, moved);
        }

        (await _site.RunAsync("verify")).Expect(0);
        (await _site.RunAsync("cleanup", "--retention-days", "30")).Expect(0);

        Assert.True(File.Exists(Path.Combine(_site.Folder, _site.First)));
        Assert.False(File.Exists(Path.Combine(_site.Folder, _site.Segments[0])));
    }

    [Fact]
    public async Task Beside_a_physical_backup_that_runs_what_is_older_than_its_start_is_removed()
    {
        await HandMadeSet.AddAsync(_site.Cluster, "second", SetEditor.Now.AddDays(-40));
        await _site.ReDateAsync("base", SetEditor.Now.AddDays(-35));
        await _site.Cluster.ArchivedAsync(await _site.Cluster.SwitchWalAsync());
        _site.MakeOld(static _ => true);
        using var backup = ArchivingCluster.StartIn(
            _site.Cluster.DataDirectory,
            ["BACKUP_RATE_LIMIT=1M"],
            [Workspace.Executable, "backup", "--kind", "physical", "--env-file", _site.Cluster.EnvFile]);
        await Eventually.TrueAsync(
            () => Directory.GetFiles(Path.Combine(_site.Cluster.Site, "backups"), "intent.json", SearchOption.AllDirectories)
                .Any(static f => File.ReadAllText(f).Contains("\"walFrom\"", StringComparison.Ordinal)),
            "the backup says what it needs");

        (await _site.RunAsync("cleanup", "--retention-days", "30")).Expect(0);

        Assert.False(backup.HasExited, "the backup ended before the clean-up did");
        Assert.True(File.Exists(Path.Combine(_site.Folder, _site.First)));
        Assert.False(File.Exists(Path.Combine(_site.Folder, _site.Segments[0])));
        backup.Kill();
        await Command.FinishAsync(backup);
    }
}
