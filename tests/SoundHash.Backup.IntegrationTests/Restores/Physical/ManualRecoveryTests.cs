using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.IntegrationTests.Restores.Physical;

/// <summary>Set and WAL outlive shbackup: the commands of docs/formats.md and docs/pitr.md recover to a moment with public programs alone.</summary>
public sealed class ManualRecoveryTests(LostCluster cluster) : IClassFixture<LostCluster>
{
    private static readonly string Drop =
        Environment.UserName == "root" ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : string.Empty;

    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    [InlineData("gpg")]
    public async Task The_commands_of_the_documentation_recover_to_a_moment_without_shbackup(string encryption)
    {
        await using var restored = await RestoredServer.PlaceAsync();
        var keys = await WrapArchiveAsync(restored.Folder, encryption);
        var environment = new Dictionary<string, string?>(keys)
        {
            ["SET"] = Path.Combine(cluster.Site, "backups", "sets", cluster.Set),
            ["TARGET"] = restored.Data,
            ["TABLESPACES"] = Path.Combine(restored.Folder, "spaces"),
            ["MOMENT"] = cluster.ThirdTime,
            ["SCRIPT"] = Recipes.Read("formats.md", "physical recipe") + Recipes.Read("pitr.md", "pitr recipe"),
            ["PATH"] = $"{PostgresPrograms.Directory}:{Environment.GetEnvironmentVariable("PATH")}",
            ["PGHOST"] = cluster.Host,
            ["PGUSER"] = "postgres",
        };

        var said = await Command.ShellAsync($"{Drop} bash -c \"$SCRIPT\"", environment, cluster.Host);

        Assert.Contains(cluster.ThirdTime[..10], said.Output, StringComparison.Ordinal);
        // It has the settings of the lost server, its socket among them.
        Assert.Equal("1,2,3", await cluster.TextAsync("postgres", "SELECT string_agg(id::text, ',' ORDER BY id) FROM rows"));
        // Nothing is left of the recovery.
        var left = await File.ReadAllTextAsync(Path.Combine(restored.Data, "postgresql.auto.conf"), TestContext.Current.CancellationToken);
        Assert.DoesNotContain("restore_command", left, StringComparison.Ordinal);
        Assert.DoesNotContain("recovery_target", left, StringComparison.Ordinal);
        Assert.Contains("archive_mode = 'off'", left, StringComparison.Ordinal);
        Assert.False(File.Exists($"{restored.Data}.get-wal"));
    }

    [Fact]
    public async Task The_clean_up_of_the_documentation_names_what_is_before_the_first_segment_of_every_set_and_nothing_else()
    {
        using var place = new TempFolder("cleanup");
        var sets = Path.Combine(cluster.Site, "backups", "sets");
        var archive = Directory.GetDirectories(cluster.Archive).Single();
        var environment = new Dictionary<string, string?> { ["SETS"] = sets, ["WAL"] = archive };
        var recipe = Recipes.Read("pitr.md", "cleanup recipe");
        var first = (await cluster.RunAsync("backup", "show", cluster.Set, "--env-file", cluster.EnvFile, "--json")).Expect(0).Output;
        var start = Lsn.Parse(JsonDocument.Parse(first).RootElement.GetProperty("manifest").GetProperty("physical").GetProperty("startLsn").GetString()!);
        var needed = WalSegment.Of(1, start, 16 * 1024 * 1024).Name;

        var said = await Command.RunAsync("/bin/bash", ["-c", recipe], environment, place.Path);
        environment["SETS"] = place.Path;
        var without = await Command.RunAsync("/bin/bash", ["-c", recipe], environment, place.Path);

        var all = Directory.GetFiles(Path.Combine(archive, "00000001")).Order(StringComparer.Ordinal).ToList();
        var older = all.Where(f => string.CompareOrdinal(Path.GetFileName(f)[..24], needed) < 0).ToList();
        Assert.NotEmpty(older);
        Assert.NotEqual(all.Count, older.Count);
        Assert.Equal(older, said.Expect(0).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        // Without any set nothing is known, and nothing may go.
        Assert.NotEqual(0, without.ExitCode);
        Assert.Empty(without.Output);
    }

    [Theory]
    [InlineData("none", "printf X | dd of=\"$FILE\" bs=1 seek=20000 conv=notrunc status=none")]
    [InlineData("age", "printf X | dd of=\"$FILE\" bs=1 seek=20000 conv=notrunc status=none")]
    [InlineData("age", "age-keygen -o \"$IDENTITY.other\" && mv \"$IDENTITY.other\" \"$IDENTITY\"")]
    [InlineData("gpg", "rm -rf \"$GNUPGHOME\"")]
    [InlineData("none", "rm \"$FILE.sha256\"")]
    [InlineData("none", "mv \"$WAL\" \"$WAL.elsewhere\"")]
    public async Task The_restore_command_of_the_documentation_never_takes_a_failure_for_the_end_of_the_log(string encryption, string spoil)
    {
        const string Fetch = "bash \"$TARGET.get-wal\" \"$WAL\" \"$IDENTITY\"";
        await using var place = await RestoredServer.PlaceAsync();
        var environment = await WrapArchiveAsync(place.Folder, encryption);
        environment["TARGET"] = place.Data;
        environment["FILE"] = Directory.GetFiles(environment["WAL"]!, "0000000100000000????????", SearchOption.AllDirectories).Order().Last();
        environment["NAME"] = Path.GetFileName(environment["FILE"]);
        var recipe = Recipes.Read("formats.md", "physical recipe");
        var begin = recipe.IndexOf("cat >\"$TARGET.get-wal\"", StringComparison.Ordinal);
        await Command.ShellAsync(recipe[begin..(recipe.IndexOf("\nEND\n", begin, StringComparison.Ordinal) + 5)], environment);

        var whole = await Command.RunAsync(
            "/bin/bash", ["-c", $"{Fetch} \"$NAME\" \"$TARGET\" && sha256sum <\"$TARGET\" | cut -c1-64 && head -n 1 \"$FILE.sha256\" | cut -c1-64"], environment, null);
        var absent = await Command.RunAsync("/bin/bash", ["-c", $"{Fetch} 0000000100000000000000FE \"$TARGET\""], environment, null);
        await Command.ShellAsync(spoil, environment);
        var spoilt = await Command.RunAsync("/bin/bash", ["-c", $"{Fetch} \"$NAME\" \"$TARGET\""], environment, null);

        Assert.Single(whole.Expect(0).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Distinct());
        Assert.Equal(1, absent.ExitCode);
        Assert.Equal(200, spoilt.ExitCode);
    }

    // A copy of the archive in which age or gpg itself wraps each file; the recipe's variables for it.
    private async Task<Dictionary<string, string?>> WrapArchiveAsync(string folder, string encryption)
    {
        var environment = new Dictionary<string, string?>
        {
            // The recipe's restore_command has no quotes for a path with a quote in it.
            ["WAL"] = Path.Combine(folder, "wal"),
            ["FROM"] = Directory.GetDirectories(cluster.Archive).Single(),
            ["IDENTITY"] = Path.Combine(folder, "identity.txt"),
            ["GNUPGHOME"] = Path.Combine(folder, "gnupg"),
        };
        var wrap = encryption switch
        {
            "age" => "age-keygen -o \"$IDENTITY\" && each age --encrypt --recipient \"$(age-keygen -y \"$IDENTITY\")\" --output",
            "gpg" => $"each gpg --batch --quiet --trust-model always --recipient {(await GpgHome.MakeAsync(environment["GNUPGHOME"]!)).Fingerprint} "
                + "--encrypt --output && gpgconf --kill all",
            _ => "true",
        };
        await Command.ShellAsync(
            "cp -r \"$FROM\" \"$WAL\"\n"
            + "each() { find \"$WAL\"/*/ -type f ! -name '*.sha256' | while read -r file; do \"$@\" \"$file.new\" \"$file\" && mv \"$file.new\" \"$file\"; done; }\n"
            + wrap,
            environment);
        await ArchivingCluster.GiveToPostgresAsync(folder);
        return environment;
    }
}
