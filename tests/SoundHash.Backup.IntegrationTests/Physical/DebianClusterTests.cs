using System.Globalization;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>Debian keeps a cluster's configuration in /etc/postgresql: it belongs to the backup.</summary>
public sealed class DebianClusterTests
{
    // Its programs are under /usr/lib/postgresql/VERSION/bin.
    private static readonly string Version = Path.GetFileName(Path.GetDirectoryName(PostgresPrograms.Directory))!;

    [Fact]
    public async Task Configuration_outside_the_data_directory_is_kept_with_its_includes_and_comes_back()
    {
        var name = $"shbackup_{Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}";
        using var folder = new TempFolder("debian");
        using var work = new Workspace(new PostgresCluster(), "postgres");
        var archive = Path.Combine(work.Folder, "backups", "wal");
        try
        {
            await Command.ShellAsync(
                $"""
                chmod 755 '{folder.Path}' '{work.Folder}'; mkdir -p '{archive}' '{folder.Path}/socket'; chown -R postgres: '{folder.Path}' '{work.Folder}'
                pg_createcluster --datadir='{folder.Path}/data' --socketdir='{folder.Path}/socket' --start-conf=manual {Version} {name} -- --auth=trust --no-sync
                etc=/etc/postgresql/{Version}/{name}
                grep -q '^include_dir' $etc/postgresql.conf || echo "include_dir = 'conf.d'" >> $etc/postgresql.conf
                mkdir -p $etc/conf.d; echo '# nothing is set here' > $etc/conf.d/empty.conf
                printf '%s\n' "listen_addresses = ''" 'fsync = off' 'archive_mode = on' > $etc/conf.d/own.conf
                echo "archive_command = 'd={archive}/\$(od -An -tu8 -N8 global/pg_control | tr -d \" \")/00000001; mkdir -p \$d && echo \"\$(sha256sum < %p | cut -c1-64)  %f\" > \$d/%f.sha256 && cp %p \$d/%f'" >> $etc/conf.d/own.conf
                chown -R postgres: $etc
                pg_ctlcluster {Version} {name} start
                """);
            var port = (await Command.ShellAsync($"pg_lsclusters --no-header | awk '$2 == \"{name}\" {{ print $3 }}'")).Output.Trim();
            work.Set("DATABASE_HOST", folder["socket"]).Set("DATABASE_PORT", port);

            var id = await work.BackupPhysicalAsync();

            var outside = (await work.ContentsAsync(id))["outsideFiles"]!.AsArray().Select(static f => (string)f!).ToList();
            var edit = new SetEditor(work.SetFolder(id));
            var stored = (await Command.ShellAsync($"zstd -dc '{edit[edit.Key("final")]}' | tar -t")).Output.Split('\n');
            foreach (var file in new[] { "postgresql.conf", "pg_hba.conf", "pg_ident.conf", "start.conf", "conf.d/own.conf", "conf.d/empty.conf" })
            {
                Assert.Contains($"/etc/postgresql/{Version}/{name}/{file}", outside);
                Assert.Contains($"outside/etc/postgresql/{Version}/{name}/{file}", stored);
            }

            Assert.Equal("global/pg_control", stored.Last(static l => l.Length > 0));
            (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);

            // Beside the old one: into a folder of the data directory, and the server is started with that.
            await Command.ShellAsync($"pg_ctlcluster {Version} {name} stop");
            await using var beside = await RestoredServer.AtAsync(folder["beside"]);
            var result = (await work.RunAsync("restore", "--target-dir", beside.Data, "--start")).Expect(0);
            Assert.Contains($"/etc/postgresql/{Version}/{name}/postgresql.conf is in {beside.Data}/outside-config/etc/postgresql/{Version}/{name}/postgresql.conf", result.Output, StringComparison.Ordinal);
            Assert.Equal($"{beside.Data} off", await AskAsync(folder["socket"], port));
            await beside.StopAsync();

            // In its place, when nothing is left: back to where it was.
            await Command.ShellAsync($"pg_dropcluster {Version} {name}; rm -r /etc/postgresql/{Version}/{name}; test ! -e {folder["data"]}");
            (await work.RunAsync("restore", "--target-dir", folder["data"])).Expect(0);
            Assert.False(Directory.Exists(Path.Combine(folder["data"], "outside-config")));
            await Command.ShellAsync($"pg_ctlcluster {Version} {name} start");
            Assert.Equal($"{folder["data"]} off", await AskAsync(folder["socket"], port));

            // Once more: what is there as it was is left, and what is another's since is not touched.
            await Command.ShellAsync($"pg_ctlcluster {Version} {name} stop; echo '# changed' >> /etc/postgresql/{Version}/{name}/conf.d/empty.conf");
            var again = (await work.RunAsync("restore", "--target-dir", folder["data"], "--delta", "--yes", "--timeline", "1")).Expect(0);
            Assert.Contains($"outside-config/etc/postgresql/{Version}/{name}/conf.d/empty.conf", again.Output, StringComparison.Ordinal);
            Assert.DoesNotContain($"outside-config/etc/postgresql/{Version}/{name}/conf.d/own.conf", again.Output, StringComparison.Ordinal);
            Assert.Contains("# changed", await File.ReadAllTextAsync($"/etc/postgresql/{Version}/{name}/conf.d/empty.conf", TestContext.Current.CancellationToken), StringComparison.Ordinal);
            await Command.ShellAsync($"pg_ctlcluster {Version} {name} start");
            Assert.Equal($"{folder["data"]} off", await AskAsync(folder["socket"], port));
        }
        finally
        {
            await Command.RunAsync("pg_dropcluster", "--stop", Version, name);
            // It leaves files that it did not make.
            await Command.ShellAsync($"rm -rf /etc/postgresql/{Version}/{name}");
        }
    }

    private static async Task<string> AskAsync(string host, string port) => (await Command.ShellAsync(
        $"psql -XAt -h '{host}' -p {port} -U postgres -d postgres -c \"SELECT current_setting('data_directory') || ' ' || current_setting('fsync')\"")).Output.Trim();
}
