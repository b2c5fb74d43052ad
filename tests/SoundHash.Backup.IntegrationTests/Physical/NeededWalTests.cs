using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>A base backup is as good as the WAL that it needs.</summary>
public sealed class NeededWalTests(LostCluster cluster) : IClassFixture<LostCluster>
{
    [Theory]
    [InlineData]
    [InlineData("--deep")]
    public async Task A_set_whose_WAL_is_damaged_is_not_verified(params string[] deep)
    {
        using var site = await CopyAsync();
        (await RunAsync(site, "backup", "verify", cluster.Set)).Expect(0);
        foreach (var segment in Segments(site))
        {
            var bytes = await File.ReadAllBytesAsync(segment, TestContext.Current.CancellationToken);
            bytes[bytes.Length / 2] ^= 1;
            await File.WriteAllBytesAsync(segment, bytes, TestContext.Current.CancellationToken);
        }

        (await RunAsync(site, ["backup", "verify", cluster.Set, .. deep])).Expect(8)
            .Says($"set {cluster.Set} can't be made consistent: WAL file ").Says("wal-archive verify --repair");
    }

    // PostgreSQL reads ahead since 15, and would ask for what is missing behind the target.
    [Fact]
    public async Task A_recovery_to_where_a_gap_begins_gets_there_as_the_hint_says()
    {
        using var site = await CopyAsync();
        File.Delete(Segments(site)[^2]);
        await using var restored = await RestoredServer.PlaceAsync();
        string[] restore = ["restore", "--target-dir", restored.Data];
        var refused = (await RunAsync(site, restore)).Expect(8).Says("is missing in store local");
        var words = refused.Error.Split([' ', '\n', ';', ',']);
        var hint = words.SkipWhile(static w => w != "--to-lsn").Take(2);

        (await RunAsync(site, [.. restore, .. hint, "--start", "--action", "promote"])).Expect(0);

        Assert.Equal("2", await cluster.TextAsync("postgres", "SELECT count(*)::text FROM rows"));
        await restored.StopAsync();
    }

    private async Task<TempFolder> CopyAsync()
    {
        var site = new TempFolder("site");
        await Command.ShellAsync($"cp -a \"$SITE/.\" '{site.Path}'", new Dictionary<string, string?> { ["SITE"] = cluster.Site });
        File.WriteAllLines(site[".env"], [$"BACKUP_DIR={site["backups"]}", $"BACKUP_WAL_DIR={site["wal"]}", $"BACKUP_SPOOL_DIR={site["spool"]}"]);
        await ArchivingCluster.GiveToPostgresAsync(site.Path);
        return site;
    }

    private static List<string> Segments(TempFolder site) => Directory.GetFiles(site["wal"], "0*", SearchOption.AllDirectories)
        .Where(static f => Path.GetFileName(f).Length == 24).Order(StringComparer.Ordinal).ToList();

    private Task<CommandResult> RunAsync(TempFolder site, params string[] arguments) =>
        ArchivingCluster.RunInAsync(cluster.Host, [.. arguments, "--env-file", site[".env"]]);
}
