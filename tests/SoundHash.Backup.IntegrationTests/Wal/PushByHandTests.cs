using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>What a person hands to wal-archive push, and PostgreSQL never would.</summary>
public sealed class PushByHandTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    // Guards against this: half a segment kept the whole one out for ever, archiving stood, and recovery stopped inside it.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_segment_that_is_still_being_written_is_refused_and_archived_when_it_is_whole(bool inPlace)
    {
        await cluster.SwitchWalAsync();
        await cluster.ExecuteAsync("postgres", "INSERT INTO tick SELECT clock_timestamp()");
        var current = (await cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
        using var folder = new TempFolder();
        File.Copy(Path.Combine(cluster.DataDirectory, "pg_wal", current), folder[current]);
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);

        (await PushAsync(inPlace ? $"pg_wal/{current}" : folder[current])).Expect(8)
            .Says("may not be the whole segment").Says("the log in it ends at").Says("pg_switch_wal");

        var stored = Path.Combine(await cluster.ArchiveOfClusterAsync(), "00000001", current);
        Assert.False(File.Exists(stored) || File.Exists($"{stored}.sha256"));
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        await Command.ShellAsync($"zstd -dcq \"{stored}\" | cmp - '{cluster.DataDirectory}/pg_wal/{current}'");
    }

    [Fact]
    public async Task A_copy_of_a_whole_segment_is_archived_also_into_an_archive_that_is_new()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        using var folder = new TempFolder();
        File.Copy(Path.Combine(cluster.DataDirectory, "pg_wal", segment), folder[segment]);
        File.WriteAllText(
            folder[".env"], File.ReadAllText(cluster.EnvFile).Replace($"\"{cluster.Archive}\"", folder["wal"], StringComparison.Ordinal));
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);

        (await cluster.RunAsync("wal-archive", "push", folder[segment], "--env-file", folder[".env"])).Expect(0);

        var archived = Path.Combine(folder["wal"], Path.GetFileName(await cluster.ArchiveOfClusterAsync()));
        Assert.True(File.Exists(Path.Combine(archived, "archive.json")));
        await Command.ShellAsync($"zstd -dcq '{archived}/00000001/{segment}' | cmp - '{folder[segment]}'");
    }

    private Task<CommandResult> PushAsync(string path) => cluster.RunAsync("wal-archive", "push", path, "--env-file", cluster.EnvFile);
}
