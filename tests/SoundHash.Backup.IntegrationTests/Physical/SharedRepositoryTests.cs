using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>Two clusters that archive and back up into the same directories, side by side.</summary>
public sealed class SharedRepositoryTests
{
    [Fact]
    public async Task Each_of_two_clusters_restores_its_own_and_what_expires_of_one_is_never_the_other_s()
    {
        await using var one = new ArchivedCluster();
        await one.InitializeAsync();
        await using var two = new GuestCluster(one);
        await two.InitializeAsync();
        await two.StartArchivingAsync($"BACKUP_DIR=\"{one.Site}/backups\"", $"BACKUP_WAL_DIR=\"{one.Archive}\"");
        await FillAsync(one, "one");
        await FillAsync(two, "two");
        var oldest = await BackupAsync(one);
        (await two.RunAsync("backup", "--kind", "physical", "--env-file", two.EnvFile)).Expect(3).Says("--new-system");
        var guests = await BackupAsync(two, "--new-system");
        await SwitchAsync(one);
        var newest = await BackupAsync(one);
        await FillAsync(one, "after the backup of one");
        await FillAsync(two, "after the backup of two");
        // The guest's is older than one of the other's that is good, and the only one that it has.
        foreach (var (id, days) in ((string, int)[])[(oldest, 400), (guests, 300), (newest, 200)])
        {
            Set(one, id).Date(SetEditor.Now.AddDays(-days));
        }

        await Command.ShellAsync("find \"$WAL\" -type f -exec touch -d '100 days ago' {} +", new Dictionary<string, string?> { ["WAL"] = one.Archive });
        var before = (One: await SegmentsAsync(one), Two: await SegmentsAsync(two));
        (await one.RunAsync("backup", "expire", "--env-file", one.EnvFile)).Expect(0);
        Assert.Equal(new[] { guests, newest }.Order(StringComparer.Ordinal), SetsOf(one));
        (await one.RunAsync("wal-archive", "cleanup", "--retention-days", "1", "--env-file", one.EnvFile)).Expect(0);

        Assert.Equal(before.One.Where(s => IsNeeded(s, Set(one, newest))), await SegmentsAsync(one));
        Assert.Equal(before.Two.Where(s => IsNeeded(s, Set(one, guests))), await SegmentsAsync(two));
        Assert.NotEqual(before.One, await SegmentsAsync(one));
        await RestoredServer.StopAsync(one.DataDirectory, "immediate");
        await RestoredServer.StopAsync(two.DataDirectory, "immediate");
        await EnsureRestoresAsync(one, newest, "one,after the backup of one");
        await EnsureRestoresAsync(two, guests, "two,after the backup of two");
    }

    private static async Task FillAsync(ArchivingCluster cluster, string name)
    {
        await cluster.ExecuteAsync("postgres", $"CREATE TABLE IF NOT EXISTS own (number serial, name text); INSERT INTO own (name) VALUES ('{name}')");
        await SwitchAsync(cluster);
    }

    private static async Task<string> BackupAsync(ArchivingCluster cluster, params string[] more) =>
        HistoryCluster.Id(await cluster.RunAsync(["backup", "--kind", "physical", "--env-file", cluster.EnvFile, "--json", .. more]));

    private static async Task SwitchAsync(ArchivingCluster cluster)
    {
        await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
    }

    private static SetEditor Set(ArchivingCluster host, string id) => new(Path.Combine(host.Site, "backups", "sets", id));

    private static bool IsNeeded(string segment, SetEditor set) => string.CompareOrdinal(
        segment, WalSegment.Of(1, Lsn.Parse((string)set.Manifest["physical"]!["startLsn"]!), 16 << 20).Name) >= 0;

    private static List<string> SetsOf(ArchivingCluster cluster) =>
        Directory.GetDirectories(Path.Combine(cluster.Site, "backups", "sets")).Select(static d => Path.GetFileName(d)).Order(StringComparer.Ordinal).ToList();

    private static async Task<IReadOnlyList<string>> SegmentsAsync(ArchivingCluster cluster) =>
        Directory.GetFiles(Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001"), "0000000100000000????????").Select(static f => Path.GetFileName(f))
            .Order(StringComparer.Ordinal).ToList();

    private static async Task EnsureRestoresAsync(ArchivingCluster cluster, string set, string names)
    {
        await using var restored = await RestoredServer.PlaceAsync();
        var result = await cluster.RunAsync("restore", "--target-dir", restored.Data, "--backup", set, "--start", "--env-file", cluster.EnvFile, "--json");
        using var document = JsonDocument.Parse(result.Expect(0).Output);
        Assert.Equal("takes writes", document.RootElement.GetProperty("restore").GetProperty("reached").GetProperty("state").GetString());
        Assert.Equal($"{names} {restored.Data}", await cluster.TextAsync("postgres", "SELECT string_agg(name, ',' ORDER BY number) || ' ' || current_setting('data_directory') FROM own"));
        await restored.StopAsync();
    }

    // Settings of its own come after the usual ones, and of two the last counts.
    private sealed class GuestCluster(ArchivingCluster host) : ArchivingCluster
    {
        public override string Archive => host.Archive;
    }
}
