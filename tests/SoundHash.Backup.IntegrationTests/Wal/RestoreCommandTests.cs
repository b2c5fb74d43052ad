using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>The generated restore_command, as PostgreSQL's shell runs it.</summary>
public sealed class RestoreCommandTests(ArchivedCluster cluster) : IClassFixture<ArchivedCluster>
{
    [Fact]
    public async Task A_segment_that_was_fetched_ahead_counts_in_the_run_of_the_machine_that_fetched_it_and_never_after_a_crash()
    {
        var segment = await cluster.SwitchWalAsync();
        await cluster.ArchivedAsync(segment);
        var fetch = Path.Combine(Directory.GetDirectories(cluster.Spool).Single(), "fetch");
        using var folder = new TempFolder();
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        string[] torn = [Path.Combine(fetch, segment), Path.Combine(fetch, "5c1a7a0e-0000-4000-8000-000000000000", segment)];
        foreach (var path in torn)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, new byte[16 << 20]);
        }

        (await RunAsync(segment, folder["first"])).Expect(0);
        await Command.ShellAsync($"cmp '{folder["first"]}' '{cluster.DataDirectory}/pg_wal/{segment}'");

        var own = Path.Combine(fetch, File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim());
        Directory.CreateDirectory(own);
        File.WriteAllText(Path.Combine(own, segment), "fetched ahead");
        await ArchivingCluster.GiveToPostgresAsync(fetch);
        (await RunAsync(segment, folder["second"])).Expect(0);
        Assert.Equal("fetched ahead", File.ReadAllText(folder["second"]));
        Assert.False(File.Exists(Path.Combine(own, segment)));
    }

    [Fact]
    public async Task A_misspelt_command_stops_recovery_and_never_passes_for_the_end_of_the_log()
    {
        await cluster.ArchivedAsync(await cluster.SwitchWalAsync());
        using var folder = new TempFolder();
        await ArchivingCluster.GiveToPostgresAsync(folder.Path);
        foreach (var (right, wrong) in ((string, string)[])
            [("wal-archive fetch", "wal-archve fetch"), ("wal-archive fetch", "wal-archive fecth"), ("--env-file", "--env-fiel")])
        {
            var result = await RunAsync("0000000100000000000000FF", folder["x"], c => c.Replace(right, wrong, StringComparison.Ordinal));
            result.Expect(200).Says("error: ");
        }

        (await RunAsync("0000000100000000000000FF", folder["x"])).Expect(1);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    private async Task<CommandResult> RunAsync(string name, string path, Func<string, string>? change = null)
    {
        using var shown = JsonDocument.Parse(
            (await cluster.RunAsync("wal-archive", "generate-config", "--env-file", cluster.EnvFile, "--json")).Expect(0).Output);
        var command = shown.RootElement.GetProperty("restoreCommand").GetString()!
            .Replace("%f", name, StringComparison.Ordinal).Replace("%p", path, StringComparison.Ordinal).Replace("%%", "%", StringComparison.Ordinal);
        return await ArchivingCluster.ShellInAsync(cluster.DataDirectory, change is null ? command : change(command));
    }
}
