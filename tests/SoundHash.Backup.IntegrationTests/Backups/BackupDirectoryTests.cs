using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Disks that are full, closed or read-only, and users that nobody knows. Mounts are made in namespaces of their own.</summary>
public sealed class BackupDirectoryTests(PostgresCluster cluster)
{
    // 15 MB that compress to half of it.
    private const string HardToCompress =
        """
        CREATE TABLE noise AS SELECT g, (
            SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 30) i) AS t FROM generate_series(1, 16000) g
        """;

    // Guards against this: no check of free space, and what was written stayed.
    [Theory]
    [InlineData(0, 6)]
    [InlineData(5, 6)]
    public async Task A_full_disk_fails_the_backup_with_6_and_leaves_no_set_file(int freeMegabytes, int code)
    {
        var database = await cluster.CreateDatabaseAsync(HardToCompress);
        using var work = new Workspace(cluster, database);
        Directory.CreateDirectory(work.Repository);

        var result = await InNamespaceAsync(
            work,
            $"""
            mount -t tmpfs -o size=5m none '{work.Repository}'
            head -c {(5 - freeMegabytes) * 1024 * 1024} /dev/zero > '{work.Repository}/ballast' || true
            code=0; '{Workspace.Executable}' backup || code=$?
            find '{work.Repository}/sets' -type f 2>/dev/null || true
            rm '{work.Repository}/ballast'
            '{Workspace.Executable}' backup list
            exit $code
            """);

        result.Expect(code).Says("No space left on device").Says("df");
        Assert.Equal("0 of 1 databases backed up", result.Output[..26]);
        Assert.EndsWith($"there are no sets in {work.Repository}", result.Output.Trim(), StringComparison.Ordinal);
        Assert.Equal(2, result.Output.Trim().Split('\n').Length);
    }

    [Fact]
    public async Task Less_room_than_the_last_set_took_is_a_warning_and_stops_no_backup_that_fits()
    {
        var database = await cluster.CreateDatabaseAsync(HardToCompress);
        using var work = new Workspace(cluster, database);
        Directory.CreateDirectory(work.Repository);

        var result = await InNamespaceAsync(
            work,
            $"""
            mount -t tmpfs -o size=20m none '{work.Repository}'
            '{Workspace.Executable}' backup
            head -c 20M /dev/zero > '{work.Repository}/ballast' || true
            truncate -s -1M '{work.Repository}/ballast'
            {PostgresPrograms.Directory}/psql -h '{cluster.Host}' -U postgres -d {database} -qXc 'TRUNCATE noise'
            '{Workspace.Executable}' backup
            """);

        result.Expect(0);
        Assert.Matches($"has [01] MiB free, and the last set of \"{database}\" took 1?[0-9] MiB; make room: shbackup backup expire", result.Error);
    }

    [Fact]
    public async Task A_directory_that_can_not_be_written_is_named()
    {
        var database = await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)");
        using var work = new Workspace(cluster, database);
        Directory.CreateDirectory(work.Repository);

        var readOnly = await InNamespaceAsync(
            work, $"mount --bind '{work.Repository}' '{work.Repository}'; mount -o remount,ro,bind '{work.Repository}'; exec '{Workspace.Executable}' backup");
        readOnly.Expect(6).Says(work.Repository).Says("Read-only file system");

        // Locks elsewhere: then it is the store that fails.
        work.Set("BACKUP_STATE_DIR", "./state");
        var store = await InNamespaceAsync(
            work, $"mount --bind '{work.Repository}' '{work.Repository}'; mount -o remount,ro,bind '{work.Repository}'; exec '{Workspace.Executable}' backup");
        store.Expect(6).Says(work.Repository).Says("Read-only file system");

        Directory.Delete(work.Repository);
        await File.WriteAllTextAsync(work.Repository, "a file", TestContext.Current.CancellationToken);
        (await work.RunAsync("backup")).Expect(6).Says(work.Repository);
        (await work.RunAsync("backup", "list")).Expect(6).Says("is a file where store local needs a directory");
        Assert.Equal("a file", Command.ReadText(work.Repository));
    }

    [Fact]
    public async Task It_runs_as_any_user_id_without_a_name_or_a_home_on_a_read_only_root()
    {
        var database = await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes);
        using var work = new Workspace(cluster, database);
        var recipient = await work.UseAgeAsync();
        using var folder = new TempFolder("anybody");
        // Only this one is writable; it is all that the user owns.
        await Command.ShellAsync(
            $"chmod 755 '{folder.Path}'; cp -r '{Path.GetDirectoryName(Workspace.Executable)}' '{folder["program"]}'; chmod -R go+rX '{folder["program"]}'; mkdir '{folder["store"]}'; cp '{work.IdentityFile}' '{folder["identity"]}'; chown 54321:54321 '{folder["store"]}' '{folder["identity"]}'; chmod o+x '{cluster.Host}'");
        var settings = $"DATABASE_HOST='{cluster.Host}' DATABASE_USER=postgres DATABASE_NAME={database} BACKUP_DIR='{folder["store"]}' BACKUP_ENCRYPTION_ENABLED=true BACKUP_ENCRYPTION_METHOD=age BACKUP_ENCRYPTION_KEY={recipient} BACKUP_DECRYPTION_IDENTITY_FILE='{folder["identity"]}'";
        var dotnet = Environment.GetEnvironmentVariable("DOTNET_ROOT") is { } root ? $"DOTNET_ROOT='{root}'" : string.Empty;
        var script =
            $"""
            mount --bind '{folder["store"]}' '{folder["store"]}'
            # Those that are file systems of their own stay writable otherwise.
            for place in /tmp /var/tmp /dev/shm /run; do
              if mountpoint -q $place; then mount -o remount,ro,bind $place; fi
            done
            mount -o remount,ro,bind /
            cd /
            run()
            ( env -i PATH=/usr/bin:/bin {dotnet} {settings} setpriv --reuid=54321 --regid=54321 --clear-groups --no-new-privs -- '{folder["program"]}/shbackup' "$@" )
            for place in / /tmp /var/tmp /dev/shm /run; do
              if setpriv --reuid=54321 --regid=54321 --clear-groups touch $place/is-writable 2>/dev/null || touch $place/is-writable 2>/dev/null; then
                echo "$place is writable" >&2; exit 1
              fi
            done
            run backup
            run backup verify --all
            run backup list
            run restore --latest --target-db {database}_again
            run encrypt /etc/os-release --output '{folder["store"]}/release.age'
            run decrypt '{folder["store"]}/release.age' --output '{folder["store"]}/release'
            cmp /etc/os-release '{folder["store"]}/release'
            """;

        var result = await Command.ShellAsync($"unshare --mount bash -euo pipefail -c {Quote(script)}");

        Assert.Contains("1 of 1 databases backed up", result.Output, StringComparison.Ordinal);
        Assert.Contains("1 of 1 sets are as they were written", result.Output, StringComparison.Ordinal);
        const string Digest = "SELECT md5(string_agg(f::text, ',' ORDER BY id)) FROM filler f";
        Assert.Equal(await cluster.TextAsync(database, Digest), await cluster.TextAsync($"{database}_again", Digest));
        Assert.Equal("54321", (await Command.ShellAsync($"find '{folder["store"]}' -printf '%U\\n' | sort -u")).Output.Trim());
    }

    private static string Quote(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static async Task<CommandResult> InNamespaceAsync(Workspace work, string script)
    {
        // Writes the .env file.
        (await work.RunAsync("--version")).Expect(0);
        return await Command.RunAsync("unshare", ["--mount", "bash", "-euc", script], work.CleanEnvironment(), work.Folder);
    }
}
