using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>Each storage call fails once while a store is given what another one has.</summary>
[Collection(SweptCollection.Name)]
public sealed class ReplicateSweepTests(SweptCluster cluster)
{
    [Theory]
    [InlineData(SweptFault.Refused)]
    [InlineData(SweptFault.DoneAndRefused)]
    [InlineData(SweptFault.Cut)]
    [InlineData(SweptFault.AnswerLost)]
    public Task From_a_directory_to_S3(SweptFault fault) => Sweep.RunAsync("replicate from local to s3", fault, () => new ReplicateRun(cluster, new SweptS3(), toCloud: true));

    [Theory]
    [InlineData(SweptFault.Refused)]
    public Task From_a_directory_to_GCS(SweptFault fault) => Sweep.RunAsync("replicate from local to gcs", fault, () => new ReplicateRun(cluster, new SweptGcs(), toCloud: true));

    [Theory]
    [InlineData(SweptFault.Refused)]
    [InlineData(SweptFault.Cut)]
    public Task From_S3_to_a_directory(SweptFault fault) => Sweep.RunAsync("replicate from s3 to local", fault, () => new ReplicateRun(cluster, new SweptS3(), toCloud: false));

    private sealed class ReplicateRun(SweptCluster cluster, SweptCloud cloud, bool toCloud) : SweptRun(cluster, cluster.Database, cloud)
    {
        private static readonly string[] All = ["newest", "pinned"];

        private string From => toCloud ? "local" : Cloud.Name;

        private string To => toCloud ? Cloud.Name : "local";

        private IReadOnlyDictionary<string, byte[]> Target => toCloud ? Cloud.Files : LocalFiles;

        public override Task<CommandResult> RunAsync() => Work.RunAsync("backup", "replicate", "--all", "--from", From, "--to", To);

        public override async Task CheckAsync(CommandResult result)
        {
            var (sets, segments) = (SetsOf(Target), SegmentsOf(Target, cluster));
            if (result.ExitCode == 0)
            {
                Assert.Equal(All, sets);
                Assert.Equal(Segments, segments);
            }

            await ListsAsync(sets, To);
        }

        public override string State()
        {
            Assert.Equal(All, SetsOf(Target));
            Assert.Equal(Segments, SegmentsOf(Target, cluster));
            return Describe("local", LocalFiles) + Describe(Cloud.Name, Cloud.Files);
        }

        protected override void LayOut()
        {
            var files = cluster.Sets.Where(static f => f.Key.Split('/') is not ["backups", "sets", not ("newest" or "pinned"), ..])
                .Concat(cluster.Wal.Where(f => Path.GetFileName(f.Key).Length < 24 || Segments.Any(s => f.Key.Contains(s, StringComparison.Ordinal)))).ToList();
            if (toCloud)
            {
                LayLocal(files);
            }
            else
            {
                Cloud.Lay(files);
                // A directory that is a store has to be there: it may not be mounted else.
                Directory.CreateDirectory(Work.Repository);
                Directory.CreateDirectory(Path.Combine(Work.Folder, "wal"));
            }
        }

        // A few will do.
        private List<string> Segments => [.. cluster.Segments.Take(2)];
    }
}
