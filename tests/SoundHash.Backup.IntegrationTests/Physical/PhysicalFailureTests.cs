using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>However a physical backup fails, no set is listed, the error says why, and the next run works.</summary>
public sealed class PhysicalFailureTests(ScriptArchivingCluster cluster, PostgresCluster silent) : IClassFixture<ScriptArchivingCluster>
{
    [Theory]
    [InlineData("--database", "a")]
    [InlineData("--all-databases")]
    [InlineData("--fingerprint")]
    public async Task Options_of_logical_backups_are_refused(params string[] options)
    {
        using var work = cluster.Workspace();

        (await work.RunAsync([.. PhysicalProbe.Arguments, .. options])).Expect(2).Says("--kind physical takes the whole cluster");
        (await work.RunAsync("backup", "--archive-timeout", "3")).Expect(2).Says("--archive-timeout needs --kind physical");
    }

    [Fact]
    public async Task A_dry_run_writes_nothing()
    {
        using var work = cluster.Workspace();

        var result = (await work.RunAsync([.. PhysicalProbe.Arguments, "--dry-run"])).Expect(0);

        Assert.Contains("would back up the whole cluster", result.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(work.Repository));
    }

    [Fact]
    public async Task A_cluster_that_archives_nothing_is_refused_before_anything_is_copied()
    {
        using var work = new Workspace(silent, "postgres");

        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(3).Says("does not archive its WAL").Says("shbackup wal-archive generate-config");

        Assert.Empty(await work.SetsAsync());
        Assert.False(Directory.Exists(Path.Combine(work.Repository, "sets")));
        using var off = cluster.Workspace().Set("BACKUP_WAL_ARCHIVING_ENABLED", "false");
        (await off.RunAsync(PhysicalProbe.Arguments)).Expect(3).Says("BACKUP_WAL_ARCHIVING_ENABLED");
    }

    [Fact]
    public async Task WAL_that_is_not_archived_in_time_fails_the_backup_and_says_what_is_missing()
    {
        // In this cluster archiving works; in this archive nothing arrives.
        using var work = cluster.Workspace();
        work.Set("BACKUP_WAL_DIR", "./elsewhere");

        var result = (await work.RunAsync([.. PhysicalProbe.Arguments, "--archive-timeout", "1"])).Expect(5);

        result.Says("was not archived in store local within 1 s").Says("last archived").Says("BACKUP_WAL_DIR");
        Assert.Matches("WAL file 0000000100000000000000[0-9A-F]{2} was not", result.Error);
        Assert.Empty(await work.SetsAsync());
        work.Set("BACKUP_WAL_DIR", cluster.WalArchive);
        await work.BackupPhysicalAsync();
    }

    [Fact]
    public async Task A_managed_service_that_gives_nobody_its_files_is_told_so_and_what_to_do_there()
    {
        // As on RDS, its users are members of such a role, and may not know where the data directory is.
        await cluster.ExecuteAsync("postgres", "CREATE ROLE rds_superuser; CREATE ROLE tenant LOGIN IN ROLE rds_superuser");
        using var work = cluster.Workspace().Set("DATABASE_USER", "tenant");

        (await work.RunAsync(PhysicalProbe.Arguments)).Expect(3)
            .Says("is a managed service (it has the role rds_superuser), which lets nobody take its data files").Says("use shbackup backup (logical) there");

        Assert.False(Directory.Exists(work.Repository));
        // The name alone proves nothing where the files are at hand.
        await work.Set("DATABASE_USER", "postgres").BackupPhysicalAsync();
    }

    /// <summary>A copy that was promoted and archives to the same place, or a server that was taken back: their segments have the same names.</summary>
    [Fact]
    public async Task WAL_of_another_life_of_the_cluster_in_the_archive_fails_the_backup_by_the_segment_s_name()
    {
        await using var own = new ScriptArchivingCluster();
        await own.InitializeAsync();
        using var work = own.Workspace();
        var whole = await work.BackupPhysicalAsync();
        var next = (await own.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))!;
        var folder = Path.Combine(Directory.GetDirectories(own.WalArchive).Single(), next[..8]);
        for (var ahead = 0; ahead < 5; ahead++)
        {
            var name = $"{next[..16]}{Convert.ToInt32(next[16..], 16) + ahead:X8}";
            File.WriteAllText(Path.Combine(folder, $"{name}.sha256"), $"{new string('5', 64)}  {name}\n");
            File.WriteAllText(Path.Combine(folder, name), "of another life");
        }

        await ArchivingCluster.GiveToPostgresAsync(folder);
        var result = (await work.RunAsync(PhysicalProbe.Arguments)).Expect(8);

        result.Says("is not that of").Says("another life of this cluster").Says("BACKUP_CLUSTER");
        Assert.Matches("WAL file 0000000100000000000000[0-9A-F]{2} in store local", result.Error);
        Assert.Equal([whole], await work.SetsAsync());
    }

    [Theory]
    [InlineData("KILL", 137)]
    [InlineData("TERM", 130)]
    public async Task A_backup_that_is_ended_leaves_no_set_and_no_backup_mode_and_the_next_one_works(string signal, int code)
    {
        using var work = cluster.Workspace().Set("BACKUP_RATE_LIMIT", "1M");
        await work.UseAgeAsync();
        using (var backup = work.Start(PhysicalProbe.Arguments))
        {
            // Files are read in backup mode alone; what else a set has by then is shorter.
            await Eventually.TrueAsync(
                () => Directory.Exists(work.Repository) && new DirectoryInfo(work.Repository)
                    .EnumerateFiles(".writing-*", SearchOption.AllDirectories).Any(static f => f.Length > 50_000),
                "a volume is being written");
            await Command.RunAsync("kill", $"-{signal}", $"{backup.Id}");
            Assert.Equal(code, (await Command.FinishAsync(backup)).ExitCode);
        }

        Assert.Empty(await work.SetsAsync());
        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", "SELECT 'yes' FROM pg_stat_activity WHERE application_name = 'shbackup'") is null,
            "the session ends, and backup mode with it");
        work.Unset("BACKUP_RATE_LIMIT");

        var id = await work.BackupPhysicalAsync();

        Assert.Equal([work.SetFolder(id)], Directory.GetDirectories(Path.Combine(work.Repository, "sets")));
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
    }

    [Fact]
    public async Task A_file_that_can_not_be_read_fails_the_backup_by_its_name()
    {
        await using var own = new ScriptArchivingCluster();
        await own.InitializeAsync();
        using var work = own.Workspace();
        var secret = Path.Combine(own.DataDirectory, "base", "1", "unreadable");
        var folder = Path.GetDirectoryName(Workspace.Executable);
        // As root everything can be read: then the program runs as the server's user, and the file is another's.
        var asRoot = Environment.UserName == "root";
        await Command.ShellAsync(
            $"""
            echo secret > '{secret}'; chmod 000 '{secret}'; cp -r '{folder}' '{work.Folder}/program'
            {(asRoot ? $"chown -R postgres: '{work.Folder}'" : string.Empty)}
            """);
        (await work.RunAsync("backup", "list")).Expect(0);

        var drop = asRoot ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;
        var result = await Command.RunAsync(
            "/bin/bash",
            ["-c", $"{drop} ./program/shbackup {string.Join(' ', PhysicalProbe.Arguments)}"],
            work.CleanEnvironment(),
            work.Folder);

        result.Expect(1).Says($"can't read {secret}");
        Assert.Empty(await work.SetsAsync());
    }
}
