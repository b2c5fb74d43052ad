using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>Each storage call of what removes fails once.</summary>
[Collection(SweptCollection.Name)]
public sealed class ExpireSweepTests(SweptCluster cluster)
{
    private static readonly string[] Kept = ["newest", "pinned"];

    [Theory]
    [InlineData(SweptFault.Refused)]
    [InlineData(SweptFault.DoneAndRefused)]
    [InlineData(SweptFault.Cut)]
    [InlineData(SweptFault.AnswerLost)]
    public Task An_expiry_in_a_directory_and_S3(SweptFault fault) =>
        Sweep.RunAsync("expire in local and s3", fault, () => new ExpireRun(cluster, new SweptS3()));

    [Theory]
    [InlineData(SweptFault.Refused)]
    [InlineData(SweptFault.DoneAndRefused)]
    public Task A_clean_up_of_WAL_in_S3(SweptFault fault) =>
        Sweep.RunAsync("wal-archive cleanup in s3", fault, () => new CleanupRun(cluster, new SweptS3()));

    private sealed class ExpireRun(SweptCluster cluster, SweptCloud cloud) : SweptRun(cluster, cluster.Database, cloud)
    {
        public override Task<CommandResult> RunAsync() => Work.RunAsync("backup", "expire");

        public override async Task CheckAsync(CommandResult result)
        {
            // What is wrong with one store does not keep the other from it.
            Assert.Equal(Kept, SetsOf(LocalFiles));
            var sets = SetsOf(Cloud.Files);
            Assert.Superset(Kept.ToHashSet(), sets.ToHashSet());
            if (result.ExitCode == 0)
            {
                Assert.Equal(Kept, sets);
            }

            await ListsAsync(sets, Cloud.Name);
        }

        public override string State() => Describe("local", LocalFiles) + Describe(Cloud.Name, Cloud.Files);

        protected override void LayOut()
        {
            LayLocal(cluster.Sets);
            Cloud.Lay(cluster.Sets);
        }
    }

    private sealed class CleanupRun : SweptRun
    {
        private readonly SweptCluster _cluster;

        public CleanupRun(SweptCluster cluster, SweptCloud cloud)
            : base(cluster, cluster.Database, cloud)
        {
            _cluster = cluster;
            Work.Set("BACKUP_LOCAL_ENABLED", "false");
        }

        private List<string> Needed => [.. _cluster.Segments.Where(s => string.CompareOrdinal(s, _cluster.Needed) >= 0)];

        public override Task<CommandResult> RunAsync() => Work.RunAsync("wal-archive", "cleanup");

        public override async Task CheckAsync(CommandResult result)
        {
            var there = SegmentsOf(Cloud.Files, _cluster);
            Assert.Superset(Needed.ToHashSet(), there.ToHashSet());
            if (result.ExitCode == 0)
            {
                Assert.True(there.Count < _cluster.Segments.Count, "nothing was removed");
            }

            Assert.Equal(["base", "second"], SetsOf(Cloud.Files));
            // Both are good by what there is, and what is removed is not taken for lost.
            (await Work.RunAsync("wal-archive", "verify")).Expect(0);
        }

        public override string State() => Describe(Cloud.Name, Cloud.Files);

        protected override void LayOut() => Cloud.Lay(_cluster.BaseBackups);
    }
}
