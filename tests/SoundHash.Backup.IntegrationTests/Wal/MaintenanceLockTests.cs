using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>Who changes what is archived already, or removes sets, is alone at it; who only reads waits for nobody.</summary>
public sealed class MaintenanceLockTests : IAsyncLifetime
{
    // Read back at this rate, a set or a segment takes longer than any test.
    private const string Slowly = "BACKUP_RATE_LIMIT=1K";
    private const int MuchForThat = 1 << 20;

    private static readonly string[] Cleanup = ["wal-archive", "cleanup"], Repair = ["wal-archive", "verify", "--repair"], Expire = ["backup", "expire"];

    private readonly CaredForArchive _site = new();

    public async ValueTask InitializeAsync()
    {
        await _site.InitializeAsync();
        // Something that is too old to be kept, for the sake of which the set that stays is read back.
        await HandMadeSet.AddAsync(_site.Cluster, "second", SetEditor.Now.AddDays(-40));
        var second = new SetEditor(_site.SetFolder("second"));
        await File.WriteAllBytesAsync(second[second.Key("volume")], new byte[MuchForThat]);
        second.Save();
        await ArchivingCluster.GiveToPostgresAsync(second.Folder);
        await _site.ReDateAsync("base", SetEditor.Now.AddDays(-60));
        await _site.Cluster.ArchivedAsync(await _site.Cluster.SwitchWalAsync());
        _site.MakeOld(static _ => true);
    }

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task Cleanup_and_repair_exclude_each_other_and_expire_a_second_one_until_the_holder_ends_however_it_does()
    {
        foreach (var (holder, refused) in ((string[], string[][])[])[(Cleanup, [Cleanup, Repair]), (Repair, [Cleanup, Repair]), (Expire, [Expire])])
        {
            using var process = ArchivingCluster.StartIn(_site.Cluster.DataDirectory, [Slowly], [Workspace.Executable, .. holder, .. Settings]);
            await HeldLock.ByAsync(process, _site.Cluster.Site);

            foreach (var verb in refused)
            {
                (await RunAsync(verb)).Expect(9).Says($"is running (pid {process.Id} on {Environment.MachineName}, since 20");
            }

            (await RunAsync("wal-archive", "verify")).Expect(0);
            (await RunAsync("backup", "list")).Expect(0);
            Assert.False(process.HasExited, $"{string.Join(' ', holder)} ended before the others were tried");
            process.Kill();
            await Command.FinishAsync(process);
            foreach (var verb in refused)
            {
                (await RunAsync(verb == Repair ? verb : [.. verb, "--dry-run"])).Expect(0);
            }
        }

        Assert.Equal(_site.Segments, _site.SegmentsThere().Take(_site.Segments.Count));
        Assert.True(File.Exists(Path.Combine(_site.SetFolder("base"), "manifest.json")));
    }

    private string[] Settings => ["--env-file", _site.Cluster.EnvFile];

    private Task<CommandResult> RunAsync(params string[] arguments) => _site.Cluster.RunAsync([.. arguments, .. Settings]);
}
