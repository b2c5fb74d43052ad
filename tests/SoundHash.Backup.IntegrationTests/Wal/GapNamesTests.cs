using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>Whoever reads of a gap has to know which segments are lost, and of which time.</summary>
public sealed class GapNamesTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    [Fact]
    public async Task Gaps_are_named_by_their_segments_and_by_the_time_between_their_neighbours()
    {
        await HandMadeSet.AddAsync(cluster, "base", SetEditor.Now);
        var segments = new List<string>();
        for (var number = 0; number < 7; number++)
        {
            segments.Add(await cluster.SwitchWalAsync());
        }

        await cluster.ArchivedAsync(segments[^1]);
        var archive = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001");
        foreach (var (segment, number) in segments.Select(static (s, i) => (s, i)))
        {
            File.SetLastWriteTimeUtc(Path.Combine(archive, segment), new DateTime(2026, 11, 22, 12, number, 0, DateTimeKind.Utc));
        }

        foreach (var lost in (string[])[segments[1], segments[2], segments[4]])
        {
            File.Delete(Path.Combine(archive, lost));
            File.Delete(Path.Combine(archive, $"{lost}.sha256"));
        }

        string[] gaps =
        [
            $"segments {segments[1]} to {segments[2]} (2), stored between 2026-11-22 12:00:00Z and 2026-11-22 12:03:00Z",
            $"segment {segments[4]}, stored between 2026-11-22 12:03:00Z and 2026-11-22 12:05:00Z",
        ];
        var verified = (await cluster.RunAsync("wal-archive", "verify", "--env-file", cluster.EnvFile)).Expect(8);
        var listed = (await cluster.RunAsync("wal-archive", "list", "--env-file", cluster.EnvFile)).Expect(8);
        foreach (var gap in gaps)
        {
            verified.Says($"has a gap: {gap}; the server still has it in pg_wal");
            listed.Says($"has a gap: {gap}");
            Assert.Contains($"not there (on-server): {gap}", listed.Output, StringComparison.Ordinal);
        }
    }
}
