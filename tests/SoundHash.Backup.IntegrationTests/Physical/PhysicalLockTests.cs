using System.Diagnostics;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>One physical backup of a cluster at a time.</summary>
public sealed class PhysicalLockTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    private string[] Backup => [.. PhysicalProbe.Arguments, "--env-file", cluster.EnvFile];

    [Fact]
    public async Task A_second_physical_backup_is_refused_with_9_and_names_the_holder_and_with_lock_wait_it_follows_the_first()
    {
        using var gate = await ArchiveGate.CloseAsync(cluster);
        // It ends no sooner than its WAL is archived.
        using var first = Start();
        await HeldLock.ByAsync(first, cluster.Site);

        // One that is not refused would wait for the archive, for minutes.
        string[] other = [.. Backup, "--archive-timeout", "1"];
        (await cluster.RunAsync(other)).Expect(9)
            .Says("another backup of \"the whole cluster\" is running").Says($"pid {first.Id} on {Environment.MachineName}, since 20").Says("--lock-wait");
        (await cluster.RunAsync([.. other, "--lock-wait", "1"])).Expect(9).Says($"pid {first.Id} on");
        using var second = Start("--lock-wait", "300");
        await Eventually.TrueAsync(
            () => PhysicalProbe.OpenFiles(second).Any(static f => f.EndsWith(".lock", StringComparison.Ordinal)), "the second run looks at the lock");
        Assert.False(first.HasExited);
        Assert.False(second.HasExited);

        gate.Open();
        (await Command.FinishAsync(first)).Expect(0);
        (await Command.FinishAsync(second)).Expect(0);

        Assert.Equal(2, Directory.GetDirectories(Path.Combine(cluster.Site, "backups", "sets")).Length);
        (await cluster.RunAsync("backup", "verify", "--all", "--env-file", cluster.EnvFile)).Expect(0);
    }

    private Process Start(params string[] more) =>
        ArchivingCluster.StartIn(cluster.DataDirectory, [], [Workspace.Executable, .. Backup, .. more]);
}
