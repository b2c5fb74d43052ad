using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>BACKUP_GROUP: PostgreSQL's user archives, and another user of the group reads (docs/adr/0009).</summary>
public sealed class GroupTests
{
    [Fact]
    public async Task The_archive_is_for_the_group_to_read_as_the_sets_are_and_the_spool_is_for_its_owner_alone()
    {
        await using var cluster = new ArchivingCluster();
        await cluster.InitializeAsync();
        var group = (await Command.ShellAsync($"stat --format %G '{cluster.DataDirectory}'")).Output.Trim();
        await cluster.StartArchivingAsync($"BACKUP_GROUP={group}", $"BACKUP_STATE_DIR=\"{cluster.Site}/state\"");
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        (await cluster.RunAsync("backup", "--kind", "physical", "--name", "base", "--env-file", cluster.EnvFile)).Expect(0);

        Assert.Equal($"d 750 {group}\nf 640 {group}\n", await ModesAsync(cluster.Archive, "%y %m %g"));
        Assert.Equal($"d 750 {group}\nf 640 {group}\n", await ModesAsync(Path.Combine(cluster.Site, "backups"), "%y %m %g"));
        Assert.Equal("700\n", await ModesAsync(cluster.Spool, "%m", "-type d"));

        if (Environment.UserName == "root")
        {
            using var reader = new TempFolder("reader");
            var settings = File.ReadAllLines(cluster.EnvFile).Where(static l => !l.StartsWith("BACKUP_STATE_DIR", StringComparison.Ordinal));
            File.WriteAllLines(reader["settings"], settings.Append($"BACKUP_STATE_DIR={reader["state"]}"));
            await Command.ShellAsync($"chown -R nobody: '{reader.Path}'; chmod 711 \"$HOST\" \"$SITE\"", new Dictionary<string, string?>
            {
                ["HOST"] = cluster.Host,
                ["SITE"] = cluster.Site,
            });
            foreach (var verb in (string[][])[["wal-archive", "verify"], ["wal-archive", "list"], ["backup", "verify", "--all"]])
            {
                string[] asReader = ["--reuid=nobody", $"--regid={group}", "--clear-groups", "--", Workspace.Executable];
                (await Command.RunAsync("/usr/bin/setpriv", [.. asReader, .. verb, "--env-file", reader["settings"]], null, reader.Path)).Expect(0);
            }
        }
    }

    private static async Task<string> ModesAsync(string folder, string format, string which = "") => (await Command.ShellAsync(
        $"find \"$FOLDER\" {which} -printf '{format}\\n' | sort -u",
        new Dictionary<string, string?> { ["FOLDER"] = folder })).Output;
}
