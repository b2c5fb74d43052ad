using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Physical;

/// <summary>The server writes pg_control in place, and whoever reads it then has half of it.</summary>
public sealed class TornControlFileTests
{
    // Two pipes in the file's place give torn bytes, one after the other, and then it is there again. What opens a pipe waits for
    // who reads it, so that each is put in its place while the one before is being read.
    private const string Torn =
        """
        cd "$1"
        cp pg_control torn && dd if=/dev/zero of=torn bs=1 seek=40 count=8 conv=notrunc status=none && mkfifo first second
        cp -p pg_control whole && mv first pg_control
        exec 3>pg_control; mv second pg_control; cat torn >&3; exec 3>&-; echo first
        exec 3>pg_control; mv whole pg_control; cat torn >&3; exec 3>&-; echo second
        """;

    [Fact]
    public async Task It_is_read_again_until_its_checksum_is_right()
    {
        await using var cluster = new ScriptArchivingCluster();
        await cluster.InitializeAsync();
        using var work = cluster.Workspace().Set("BACKUP_RATE_LIMIT", "5M");
        using var backup = work.Start([.. PhysicalProbe.Arguments, "--json"]);
        await PhysicalProbe.CopyingAsync(cluster, backup);

        using var torn = Command.Start("/bin/bash", ["-euo", "pipefail", "-c", Torn, "bash", $"{cluster.DataDirectory}/global"], null, "/");
        try
        {
            (await Command.FinishAsync(backup)).Expect(0);
            Assert.Equal("first\nsecond\n", (await Command.FinishAsync(torn)).Expect(0).Output);
        }
        finally
        {
            torn.Kill();
        }

        var id = Assert.Single(await work.SetsAsync());
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
        await using var place = await RestoredServer.PlaceAsync();
        (await work.RunAsync("restore", "--target-dir", place.Data)).Expect(0);
        Assert.Equal(await SumAsync(cluster.DataDirectory), await SumAsync(place.Data));
    }

    private static async Task<string> SumAsync(string data) => (await Command.ShellAsync($"sha256sum <'{data}/global/pg_control'")).Output;
}
