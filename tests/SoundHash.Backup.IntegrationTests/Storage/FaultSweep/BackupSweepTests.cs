using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>Each storage call of a backup fails once.</summary>
[Collection(SweptCollection.Name)]
public sealed class BackupSweepTests(SweptCluster cluster)
{
    [Theory]
    [InlineData(SweptFault.Refused)]
    [InlineData(SweptFault.DoneAndRefused)]
    [InlineData(SweptFault.Cut)]
    [InlineData(SweptFault.AnswerLost)]
    public Task A_backup_to_S3(SweptFault fault) => Sweep.RunAsync("backup to s3", fault, () => new BackupRun(cluster, new SweptS3()));

    [Theory]
    [InlineData(SweptFault.Refused)]
    public Task A_backup_to_GCS(SweptFault fault) => Sweep.RunAsync("backup to gcs", fault, () => new BackupRun(cluster, new SweptGcs()));

    [Theory]
    [InlineData(SweptFault.Refused)]
    [InlineData(SweptFault.DoneAndRefused)]
    public Task A_backup_to_a_directory_and_S3_that_may_fail(SweptFault fault) =>
        Sweep.RunAsync("backup to local and perhaps s3", fault, () => new SharedBackupRun(cluster, new SweptS3()));

    private class BackupRun : SweptRun
    {
        private IReadOnlyList<string> _first = [];

        public BackupRun(SweptCluster cluster, SweptCloud cloud)
            : base(cluster, cluster.Database, cloud) => Work.Set("BACKUP_LOCAL_ENABLED", "false");

        public override Task<CommandResult> RunAsync() => Work.RunAsync("backup", "--json");

        public override async Task CheckAsync(CommandResult result)
        {
            _first = SetsOf(Cloud.Files);
            Assert.Equal(result.ExitCode == 0 ? [SetOf(result)!] : [], _first);
            await ListsAsync(_first, Cloud.Name);
        }

        // The first set where there is one, and another: of the same shape, and nothing besides.
        public override string State()
        {
            var sets = SetsOf(Cloud.Files);
            Assert.Equal(_first.Count + 1, sets.Count);
            Assert.Superset(_first.ToHashSet(), sets.ToHashSet());
            Assert.Equal(0, Cloud.OpenUploads);
            return ShapeOf(Cloud.Files);
        }

        // Beside a manifest an intent means nothing.
        protected static string ShapeOf(IReadOnlyDictionary<string, byte[]> files)
        {
            var sets = SetsOf(files);
            return string.Join('\n', files.Keys.Where(k => Path.GetFileName(k) != ".shbackup-probe" && !sets.Any(id => k == $"backups/sets/{id}/intent.json"))
                .Select(k => sets.Aggregate(k, static (key, id) => key.Replace($"/{id}/", "/ID/", StringComparison.Ordinal))).Distinct().Order(StringComparer.Ordinal));
        }
    }

    private sealed class SharedBackupRun : BackupRun
    {
        public SharedBackupRun(SweptCluster cluster, SweptCloud cloud)
            : base(cluster, cloud) => Work.Set("BACKUP_LOCAL_ENABLED", "true").Set("BACKUP_REQUIRED_COPIES", "1");

        public override IReadOnlyList<int> Failures { get; } = [10];

        public override async Task CheckAsync(CommandResult result)
        {
            var id = SetOf(result)!;
            Assert.Equal([id], SetsOf(LocalFiles));
            Assert.Equal(result.ExitCode == 0 ? [id] : [], SetsOf(Cloud.Files));
            await ListsAsync([id], "local");
            await ListsAsync(SetsOf(Cloud.Files), Cloud.Name);
        }

        public override async Task RunAgainAsync()
        {
            await base.RunAgainAsync();
            (await Work.RunAsync("backup", "replicate", "--all", "--from", "local", "--to", Cloud.Name)).Expect(0);
        }

        public override string State()
        {
            Assert.Equal(2, SetsOf(LocalFiles).Count);
            Assert.Equal(SetsOf(LocalFiles), SetsOf(Cloud.Files));
            Assert.Equal(0, Cloud.OpenUploads);
            return $"{ShapeOf(LocalFiles)}\n{ShapeOf(Cloud.Files)}";
        }
    }
}
