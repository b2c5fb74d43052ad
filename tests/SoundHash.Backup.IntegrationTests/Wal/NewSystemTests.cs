using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>pg_upgrade makes a new system identifier: same place, same settings, same archive, another cluster.</summary>
public sealed class NewSystemTests
{
    private static readonly string Drop =
        Environment.UserName == "root" ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;

    [Fact]
    public async Task A_cluster_with_a_new_system_identifier_archives_beside_the_old_one_and_neither_is_taken_for_the_other()
    {
        await using var cluster = new ArchivedCluster();
        await cluster.InitializeAsync();
        string[] physical = ["backup", "--kind", "physical", "--env-file", cluster.EnvFile];
        var oldSet = await BackupAsync(cluster, physical);
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        var old = await cluster.ArchiveOfClusterAsync();
        // Its end archives what it wrote last.
        await RestoredServer.StopAsync(cluster.DataDirectory, "fast");
        var spool = Directory.GetDirectories(cluster.Spool).Single();
        await UpgradeAsync(cluster);
        // The old server ran in between, in another place, and archived that.
        var before = await SumsAsync(old);
        await StartAgainAsync(cluster);

        // The configuration came along: its archive_command looks into the old cluster's spool.
        var first = await cluster.SwitchWalAsync();
        foreach (var name in (string[])[first, $"{first[..23]}2", $"{first[..23]}3", $"{first[..23]}4"])
        {
            // Never there with the time of now, which would be an acknowledgement.
            var stale = Path.Combine(cluster.Host, "stale");
            File.WriteAllText(stale, string.Empty);
            File.SetLastWriteTimeUtc(stale, DateTime.UnixEpoch.AddYears(50));
            File.Move(stale, Path.Combine(spool, name), overwrite: true);
        }

        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        var own = await cluster.ArchiveOfClusterAsync();
        Assert.NotEqual(old, own);
        Assert.Equal(before, await SumsAsync(old));
        foreach (var path in Directory.GetFiles(Path.Combine(cluster.DataDirectory, "pg_wal", "archive_status"), "*.done"))
        {
            var name = Path.GetFileNameWithoutExtension(path);
            Assert.True(Directory.GetFiles(own, name, SearchOption.AllDirectories).Length == 1, $"{name} was acknowledged and is not archived");
        }

        Assert.Equal(3, Directory.GetDirectories(cluster.Spool).Length);
        (await cluster.RunAsync(physical)).Expect(3).Says("--new-system");
        var newSet = await BackupAsync(cluster, [.. physical, "--new-system"]);
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());

        foreach (var verb in (string[])["list", "status", "verify"])
        {
            var document = (await cluster.RunAsync("wal-archive", verb, "--env-file", cluster.EnvFile, "--json")).Expect(0).Output;
            using var json = JsonDocument.Parse(document);
            Assert.Equal(
                new[] { Path.GetFileName(old), Path.GetFileName(own) }.Order(StringComparer.Ordinal),
                json.RootElement.GetProperty("clusters").EnumerateArray().Select(static c => c.GetProperty("systemIdentifier").GetString()!).Order(StringComparer.Ordinal));
        }

        // The cluster of now is meant where no set is named.
        var plan = (await cluster.RunAsync("restore", "--target-dir", Path.Combine(cluster.Host, "any"), "--plan", "--env-file", cluster.EnvFile)).Expect(0);
        Assert.Contains(newSet, plan.Says("the newest cluster are meant").Output, StringComparison.Ordinal);

        // But not where the old one is backed up again: neither came after the other.
        var sets = Path.Combine(cluster.Site, "backups", "sets");
        await Command.ShellAsync($"cp -a \"$SETS/{oldSet}\" \"$SETS/later\"", new Dictionary<string, string?> { ["SETS"] = sets });
        var later = new SetEditor(Path.Combine(sets, "later"));
        later.Manifest["id"] = "later";
        later.Date(SetEditor.Now);
        (await cluster.RunAsync("restore", "--target-dir", Path.Combine(cluster.Host, "any"), "--plan", "--env-file", cluster.EnvFile))
            .Expect(2).Says("several clusters at once").Says("--backup ID");
        Directory.Delete(later.Folder, recursive: true);

        foreach (var (set, system) in ((string, string)[])[(oldSet, Path.GetFileName(old)), (newSet, Path.GetFileName(own))])
        {
            var target = Path.Combine(cluster.Host, $"restored-{set}");
            (await cluster.RunAsync("restore", "--backup", set, "--target-dir", target, "--to-immediate", "--yes", "--env-file", cluster.EnvFile)).Expect(0);
            var restored = await Command.ShellAsync($"od -An -tu8 -N8 '{target}/global/pg_control' | tr -d ' '");
            Assert.Equal(system, restored.Output.Trim());
            Assert.Contains(system, File.ReadAllText(Path.Combine(target, "postgresql.auto.conf")), StringComparison.Ordinal);
        }
    }

    private static async Task<string> BackupAsync(ArchivingCluster cluster, params string[] arguments)
    {
        using var document = JsonDocument.Parse((await cluster.RunAsync([.. arguments, "--json"])).Expect(0).Output);
        return document.RootElement.GetProperty("databases")[0].GetProperty("set").GetProperty("id").GetString()!;
    }

    // In the same place, with the old one's configuration, as after the upgrade to a new major version; pg_upgrade takes its own as well.
    private static async Task UpgradeAsync(PostgresCluster cluster) => await Command.ShellAsync(
        $$"""
        mv '{{cluster.DataDirectory}}' '{{cluster.DataDirectory}}.old'
        {{Drop}} {{PostgresPrograms.Directory}}/initdb -D '{{cluster.DataDirectory}}' -U postgres -A trust --locale=C.UTF-8 -E UTF8 --no-sync >/dev/null
        cd '{{cluster.Host}}'
        {{Drop}} {{PostgresPrograms.Directory}}/pg_upgrade -U postgres -s '{{cluster.Host}}' -b {{PostgresPrograms.Directory}} -B {{PostgresPrograms.Directory}} \
          -d '{{cluster.DataDirectory}}.old' -D '{{cluster.DataDirectory}}' >upgrade.log || { cat upgrade.log >&2; exit 1; }
        cp -p '{{cluster.DataDirectory}}.old/postgresql.conf' '{{cluster.DataDirectory}}.old/postgresql.auto.conf' '{{cluster.DataDirectory}}'
        """,
        directory: "/");

    private static async Task StartAgainAsync(PostgresCluster cluster) => await Command.ShellAsync(
        $"{Drop} {PostgresPrograms.Directory}/pg_ctl -D '{cluster.DataDirectory}' -l '{cluster.LogFile}.again' -w -s start", directory: "/");

    private static async Task<string> SumsAsync(string folder) =>
        (await Command.ShellAsync("cd \"$FOLDER\"; find . -type f -exec sha256sum {} + | sort", new Dictionary<string, string?> { ["FOLDER"] = folder })).Output;
}
