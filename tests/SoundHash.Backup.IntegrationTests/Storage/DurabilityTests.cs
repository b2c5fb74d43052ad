using SoundHash.Backup.IntegrationTests.Backups;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Storage;

/// <summary>A machine that loses power after a success has lost nothing of what was said to be done.</summary>
public sealed class DurabilityTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    // Guards against this: what was acknowledged was still in the kernel's cache, and its directory knew no name for it.
    [Fact]
    public async Task Every_object_of_a_set_is_on_the_disk_before_it_has_its_name_and_its_name_before_the_backup_is_done()
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync(BackupProbe.FewMegabytes));
        await work.UseAgeAsync();

        var trace = await TraceAsync(work, "backup");

        var files = Directory.GetFiles(Path.Combine(work.Repository, "sets"), "*", SearchOption.AllDirectories);
        Assert.Contains(files, static f => Path.GetFileName(f) == "manifest.json");
        trace.AssertDurable(files);
    }

    [Fact]
    public async Task A_file_that_is_encrypted_or_decrypted_is_on_the_disk_when_that_is_done()
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();
        await Command.ShellAsync($"head -c 3000000 /dev/urandom >'{work.Folder}/plain'");

        (await TraceAsync(work, "encrypt plain")).AssertDurable([Path.Combine(work.Folder, "plain.age")]);
        (await TraceAsync(work, "decrypt plain.age --output again")).AssertDurable([Path.Combine(work.Folder, "again")]);
    }

    // PostgreSQL removes a segment as soon as archive_command has succeeded.
    [Fact]
    public async Task A_segment_and_its_sum_are_on_the_disk_when_the_push_has_succeeded()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        var other = Path.Combine(cluster.Site, "durable");
        var settings = Path.Combine(cluster.Site, "durable.env");
        File.WriteAllText(settings, File.ReadAllText(cluster.EnvFile)
            .Replace(cluster.Archive, other, StringComparison.Ordinal).Replace(cluster.Spool, $"{other}-spool", StringComparison.Ordinal));
        await ArchivingCluster.GiveToPostgresAsync(settings);
        var log = Path.Combine(cluster.Host, "trace");
        var trace = new SyncTrace(log);

        (await ArchivingCluster.ShellInAsync(
            cluster.DataDirectory, $"{trace.Prefix} '{Workspace.Executable}' wal-archive push 'pg_wal/{segment}' --env-file \"{settings}\"")).Expect(0);

        var system = (await cluster.TextAsync("postgres", "SELECT system_identifier::text FROM pg_control_system()"))!;
        trace.AssertDurable([Path.Combine(other, system, segment[..8], segment), Path.Combine(other, system, segment[..8], $"{segment}.sha256")]);
    }

    private static async Task<SyncTrace> TraceAsync(Workspace work, string arguments)
    {
        var trace = new SyncTrace(Path.Combine(work.Folder, $"trace-{arguments.Split(' ')[0]}"));
        using var process = work.StartShell($"{trace.Prefix} \"$SHBACKUP\" {arguments}");
        process.StandardInput.Close();
        (await Command.FinishAsync(process)).Expect(0);
        return trace;
    }
}
