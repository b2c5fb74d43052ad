using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>Each storage call of a push fails once; the segment behind it is archived ahead in the same run.</summary>
[Collection(SweptCollection.Name)]
public sealed class PushSweepTests(SweptCluster cluster)
{
    [Theory]
    [InlineData(SweptFault.Refused)]
    [InlineData(SweptFault.DoneAndRefused)]
    [InlineData(SweptFault.Cut)]
    [InlineData(SweptFault.AnswerLost)]
    public Task A_push_to_S3(SweptFault fault) => Sweep.RunAsync("wal-archive push to s3", fault, () => new PushRun(cluster, new SweptS3()));

    [Theory]
    [InlineData(SweptFault.Refused)]
    public Task A_push_to_GCS(SweptFault fault) => Sweep.RunAsync("wal-archive push to gcs", fault, () => new PushRun(cluster, new SweptGcs()));

    [Theory]
    [InlineData(SweptFault.Refused)]
    [InlineData(SweptFault.DoneAndRefused)]
    public Task A_push_to_a_directory_and_S3_that_may_fail(SweptFault fault) =>
        Sweep.RunAsync("wal-archive push to local and perhaps s3", fault, () => new SharedPushRun(cluster, new SweptS3()));

    private class PushRun : SweptRun
    {
        public PushRun(SweptCluster cluster, SweptCloud cloud)
            : base(cluster, cluster.Database, cloud)
        {
            Cluster = cluster;
            Work.Set("BACKUP_LOCAL_ENABLED", "false");
        }

        protected SweptCluster Cluster { get; }

        private string Asked => Cluster.Segments[0];

        // PostgreSQL takes them for archived.
        private IEnumerable<string> Acknowledged => Directory.Exists(Path.Combine(Work.Folder, "state", "spool"))
            ? Directory.GetFiles(Path.Combine(Work.Folder, "state", "spool"), "0*", SearchOption.AllDirectories).Select(static f => Path.GetFileName(f)).Where(static f => f.Length == 24)
            : [];

        // What is acknowledged must be there: those that are not archived yet need their turn.
        protected virtual IReadOnlyDictionary<string, byte[]> Required => Cloud.Files;

        public override Task<CommandResult> RunAsync() => PushAsync(Asked);

        public override Task CheckAsync(CommandResult result)
        {
            var archived = SegmentsOf(Required, Cluster);
            Assert.Superset(Acknowledged.ToHashSet(), archived.ToHashSet());
            if (result.ExitCode == 0)
            {
                Assert.Contains(Asked, archived);
            }

            return Task.CompletedTask;
        }

        public override async Task RunAgainAsync()
        {
            await base.RunAgainAsync();
            foreach (var segment in Cluster.Segments.Skip(1))
            {
                (await PushAsync(segment)).Expect(0);
            }
        }

        public override string State()
        {
            Assert.Equal(Cluster.Segments, SegmentsOf(Cloud.Files, Cluster));
            return Describe(Cloud.Name, Cloud.Files);
        }

        private Task<CommandResult> PushAsync(string segment) =>
            Work.RunAsync("wal-archive", "push", Path.Combine(Cluster.Waiting, "pg_wal", segment));
    }

    private sealed class SharedPushRun : PushRun
    {
        public SharedPushRun(SweptCluster cluster, SweptCloud cloud)
            : base(cluster, cloud) => Work.Set("BACKUP_LOCAL_ENABLED", "true").Set("BACKUP_REQUIRED_COPIES", "1");

        // PostgreSQL is told of no trouble with a store that may be missing: what it lacks is remembered.
        public override IReadOnlyList<int> Failures { get; } = [];

        protected override IReadOnlyDictionary<string, byte[]> Required => LocalFiles;

        public override async Task CheckAsync(CommandResult result)
        {
            await base.CheckAsync(result.Expect(0));
            SegmentsOf(Cloud.Files, Cluster);
        }

        public override async Task RunAgainAsync()
        {
            // It is not asked again within five minutes of its failure.
            await Command.ShellAsync($"find '{Work.Folder}/state/spool' -name .failed -exec touch -d '-6 minutes' {{}} +");
            await base.RunAgainAsync();
        }

        public override string State() => Describe("local", LocalFiles) + base.State();
    }
}
