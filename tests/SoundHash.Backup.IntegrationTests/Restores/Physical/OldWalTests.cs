using System.Globalization;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>What only the pg_wal of a lost server has outlives a restore in its place, and nobody's other files are harmed by it.</summary>
public sealed class OldWalTests
{
    private static readonly bool IsRoot = Environment.UserName == "root";

    // Guards against this: its name and its sum were in the archive, and the last good copy of it was removed.
    [Fact]
    public async Task A_segment_whose_archived_copy_is_damaged_stays_in_pg_wal_and_is_saved()
    {
        await using var lost = await LostAsync();
        var archived = Directory.GetFiles(lost.Archive, "0*", SearchOption.AllDirectories)
            .Where(f => Path.GetExtension(f).Length == 0 && File.Exists(Path.Combine(lost.DataDirectory, "pg_wal", Path.GetFileName(f)))).Min()!;
        var segment = Path.GetFileName(archived);
        SetEditor.FlipBit(archived, 2000);
        var sum = (await Command.ShellAsync($"sha256sum < '{lost.DataDirectory}/pg_wal/{segment}'")).Output;

        var result = await RestoreAsync(lost, "--to-immediate");

        result.Expect(0).Says($"the archived {segment} can't be read");
        Assert.Equal(sum, (await Command.ShellAsync($"sha256sum < '{lost.DataDirectory}/pg_wal/{segment}'")).Output);
        Assert.Equal(sum, (await Command.ShellAsync($"sha256sum < '{lost.DataDirectory}'.saved-wal-*/{segment}")).Output);
    }

    [Fact]
    public async Task A_pg_wal_whose_disk_is_not_mounted_stops_the_restore()
    {
        await using var lost = await LostAsync();
        Directory.Move(Path.Combine(lost.DataDirectory, "pg_wal"), Path.Combine(lost.Host, "away"));
        File.CreateSymbolicLink(Path.Combine(lost.DataDirectory, "pg_wal"), Path.Combine(lost.Host, "disk"));

        (await RestoreAsync(lost)).Expect(1).Says("it is a link to").Says("nothing was changed");
        File.Delete(Path.Combine(lost.DataDirectory, "pg_wal"));
        (await RestoreAsync(lost)).Expect(1).Says("is not there").Says("nothing was changed");

        Assert.True(File.Exists(Path.Combine(lost.DataDirectory, "global", "pg_control")));
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(lost.Host, "away")));
    }

    [Fact]
    public async Task A_link_in_pg_wal_is_not_followed_and_what_it_names_is_neither_copied_nor_changed()
    {
        await using var lost = await LostAsync();
        var secret = Path.Combine(lost.Host, "secret");
        await Command.ShellAsync($"echo secret > '{secret}'; chmod 640 '{secret}'; ln -s '{secret}' '{lost.DataDirectory}/pg_wal/0000000A.history'");

        (await Command.RunAsync(Workspace.Executable, Arguments(lost), null, lost.Host)).Expect(0);

        Assert.Equal("640", (await Command.ShellAsync($"stat -c %a '{secret}'")).Output.Trim());
        Assert.Equal("secret", (await File.ReadAllTextAsync(secret, TestContext.Current.CancellationToken)).Trim());
        Assert.Empty(Directory.GetFiles(lost.Host, "0000000A.history", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task A_place_for_old_WAL_that_is_none_of_this_directory_is_not_touched()
    {
        await using var lost = await LostAsync();
        var foreign = Path.Combine(lost.Host, "foreign");
        var system = Path.GetFileName(Directory.GetDirectories(lost.Archive).Single());
        await Command.ShellAsync($"mkdir -m 755 '{foreign}'; printf '%s\n' {system} '{foreign}' > '{lost.DataDirectory}/shbackup-restore.unfinished'");

        (await Command.RunAsync(Workspace.Executable, Arguments(lost), null, lost.Host)).Expect(0).Says($"an earlier restore saved old WAL in {foreign}");

        Assert.Equal($"755 {(IsRoot ? "root" : Environment.UserName)}", (await Command.ShellAsync($"stat -c '%a %U' '{foreign}'")).Output.Trim());
        Assert.Empty(Directory.GetFileSystemEntries(foreign));
    }

    // A server that an administrator, or a manager of clusters, started while a person was asked.
    [Fact]
    public async Task WAL_that_came_while_a_person_was_asked_stops_the_restore()
    {
        await using var lost = await LostAsync();
        var arguments = string.Join(' ', Arguments(lost).Where(static a => a != "--yes").Select(static a => $"'{a.Replace("'", "'\\''", StringComparison.Ordinal)}'"));
        var newest = (await Command.ShellAsync($"ls '{lost.DataDirectory}'/pg_wal/0* | tail -1")).Output.Trim();
        var later = $"{newest[..^2]}{(Convert.ToInt32(newest[^2..], 16) + 1).ToString("X2", CultureInfo.InvariantCulture)}";

        // script(1) gives the question a terminal; the answer comes when the question has.
        var result = await Command.ShellAsync(
            $$"""
            cd /; log='{{lost.Host}}/typescript'; touch "$log"
            code=0
            { until grep -qE 'remove what differs|error: ' "$log"; do sleep 0.1; done; cp '{{newest}}' '{{later}}'; echo yes; } |
              script -qefc "'{{Workspace.Executable}}' {{arguments}}" "$log" >/dev/null || code=$?
            echo "exit code $code"; cat "$log"
            """);

        Assert.Contains("exit code 1", result.Output, StringComparison.Ordinal);
        Assert.Contains("has changed since it was looked at", result.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(lost.DataDirectory, "global", "pg_control")));
    }

    private static async Task<LostCluster> LostAsync()
    {
        var lost = new LostCluster();
        await lost.InitializeAsync();
        return lost;
    }

    private static string[] Arguments(ArchivingCluster lost, params string[] more) =>
        ["restore", "--target-dir", lost.DataDirectory, "--delta", "--yes", "--env-file", lost.EnvFile, .. more];

    private static Task<CommandResult> RestoreAsync(ArchivingCluster lost, params string[] more) => lost.RunAsync(Arguments(lost, more));
}
