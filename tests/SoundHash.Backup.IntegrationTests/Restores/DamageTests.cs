using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>A set that is not as it was written never becomes a database that looks restored.</summary>
public sealed class DamageTests(PostgresCluster cluster, Samples samples)
{
    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    [InlineData("gpg")]
    public async Task A_flipped_bit_is_damage_and_names_the_object(string encryption)
    {
        using var sample = await samples.SmallAsync(cluster, encryption);
        var edit = sample.Edit();
        SetEditor.FlipBit(edit[edit.Key("dump")]);
        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(8).Says(edit.Key("dump")).Says("backup verify --all");

        await cluster.NothingIsLeftAsync(target);
    }

    [Fact]
    public async Task A_flipped_bit_in_one_table_of_a_split_set_drops_the_new_database()
    {
        using var sample = await samples.SplitAsync(cluster);
        var edit = sample.Edit();
        SetEditor.FlipBit(edit["data-0001.dump.zst"]);
        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(8).Says("data-0001.dump.zst");

        await cluster.NothingIsLeftAsync(target);
    }

    // Decryption fails early in a large object, before its end could show the wrong hash.
    [Theory]
    [InlineData("age")]
    [InlineData("gpg")]
    public async Task A_flipped_bit_early_in_a_large_encrypted_object_is_damage_and_not_a_wrong_key(string encryption)
    {
        using var sample = await samples.SplitAsync(cluster, encryption);
        var key = $"data-0001.dump.zst.{encryption}";
        SetEditor.FlipBit(sample.Edit()[key], 5000);
        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(8).Says(key);

        await cluster.NothingIsLeftAsync(target);
    }

    // The bytes decode, and pg_restore takes them; only their hash says that they are not what was backed up.
    [Fact]
    public async Task Another_archive_in_the_place_of_an_object_is_found_by_its_hash()
    {
        using var sample = await samples.SmallAsync(cluster);
        var edit = sample.Edit();
        edit.Object("dump")["plainXxHash128"] = new string('0', 32);
        edit.SaveManifest();
        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(8).Says(edit.Key("dump")).Says("XXH128");

        await cluster.NothingIsLeftAsync(target);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    public async Task An_object_of_another_set_is_refused(string encryption)
    {
        using var sample = await samples.SmallAsync(cluster, encryption);
        using var other = await samples.SplitAsync(cluster, "none");
        var edit = sample.Edit();
        File.Copy(Path.Combine(other.Folder, "data-0001.dump.zst"), edit[edit.Key("dump")], overwrite: true);
        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(8).Says(edit.Key("dump"));

        await cluster.NothingIsLeftAsync(target);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    public async Task A_truncated_object_is_damage_and_names_the_object(string encryption)
    {
        using var sample = await samples.SmallAsync(cluster, encryption);
        var edit = sample.Edit();
        var dump = edit[edit.Key("dump")];
        SetEditor.Cut(dump, new FileInfo(dump).Length - 1000);
        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(8).Says(edit.Key("dump"));

        await cluster.NothingIsLeftAsync(target);
    }

    [Theory]
    [InlineData("dump")]
    [InlineData("contents")]
    public async Task A_missing_object_is_a_storage_error_that_names_it(string role)
    {
        using var sample = await samples.SmallAsync(cluster);
        var edit = sample.Edit();
        File.Delete(edit[edit.Key(role)]);
        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(6).Says(edit.Key(role));

        await cluster.NothingIsLeftAsync(target);
    }

    [Theory]
    [InlineData("age")]
    [InlineData("gpg")]
    public async Task The_wrong_key_is_an_encryption_error_and_nothing_is_made(string encryption)
    {
        using var sample = await samples.SmallAsync(cluster, encryption);
        if (encryption == "age")
        {
            File.Delete(sample.Work.IdentityFile);
            await Command.ShellAsync($"age-keygen -o '{sample.Work.IdentityFile}'");
        }
        else
        {
            sample.Work.Environment["GNUPGHOME"] = (
                await GpgHome.MakeAsync(Path.Combine(sample.Work.Folder, "other"), "Other <other@example.org>")).Home;
        }

        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(7).Says("can't be decrypted").Says("hint:");

        await cluster.NothingIsLeftAsync(target);
    }

    [Fact]
    public async Task No_key_at_all_says_which_setting_names_one()
    {
        using var sample = await samples.SmallAsync(cluster, "age");
        sample.Work.Unset("BACKUP_DECRYPTION_IDENTITY_FILE");
        var target = RestoreHelp.NewName();

        (await RestoreAsync(sample, target)).Expect(7).Says("BACKUP_DECRYPTION_IDENTITY_FILE");

        await cluster.NothingIsLeftAsync(target);
    }

    [Fact]
    public async Task A_damaged_set_leaves_an_existing_empty_database_as_it_was()
    {
        using var sample = await samples.SplitAsync(cluster);
        SetEditor.FlipBit(sample.Edit()["data-0001.dump.zst"]);
        var target = await cluster.CreateDatabaseAsync("SELECT 1");

        (await RestoreAsync(sample, target)).Expect(8).Says("data-0001.dump.zst");

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"));
    }

    [Fact]
    public async Task Other_row_counts_than_recorded_are_a_failure_and_the_database_is_kept_aside()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c => TargetTests.Table(c, "videos")["rows"] = 5001);
        var target = RestoreHelp.NewName();

        var result = (await RestoreAsync(sample, target)).Expect(8).Says("hint: look at database");

        Assert.Contains("\"public\".\"videos\" has 5000 rows where 5001 were backed up", result.Output, StringComparison.Ordinal);
        Assert.False(await cluster.DatabaseExistsAsync(target));
        var aside = await cluster.SiblingAsync(target, "differs");
        Assert.Equal("5000", await cluster.TextAsync(aside!, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task The_same_number_of_rows_with_other_content_is_a_failure()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c => TargetTests.Table(c, "keyless")["fingerprint"] = "sum64:12345");
        var target = RestoreHelp.NewName();

        var document = await sample.Work.JsonAsync(8, "restore", "--latest", "--target-db", target);

        var difference = Assert.Single(
            document.GetProperty("restores")[0].GetProperty("result").GetProperty("differences").EnumerateArray());
        Assert.Contains("keyless", difference.GetProperty("table").GetString(), StringComparison.Ordinal);
        Assert.Contains("content differs", difference.GetProperty("problem").GetString(), StringComparison.Ordinal);
        Assert.False(await cluster.DatabaseExistsAsync(target));
    }

    [Fact]
    public async Task A_table_that_is_in_the_contents_only_is_a_failure()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c =>
        {
            var copy = (JsonObject)TargetTests.Table(c, "videos").DeepClone();
            copy["name"] = "vanished";
            c["tables"]!.AsArray().Add((JsonNode)copy);
        });
        var target = RestoreHelp.NewName();

        var result = (await RestoreAsync(sample, target)).Expect(8);

        Assert.Contains("\"vanished\"", result.Output, StringComparison.Ordinal);
        Assert.False(await cluster.DatabaseExistsAsync(target));
    }

    [Fact]
    public async Task Random_damage_anywhere_in_a_set_never_passes_for_a_restore()
    {
        var seed = Environment.TickCount;
        TestContext.Current.SendDiagnosticMessage("seed {0}", seed);
        var random = new Random(seed);
        using var pristine = await samples.SmallAsync(cluster);
        foreach (var key in pristine.Edit().Manifest["objects"]!.AsArray().Select(static o => o!).Where(
            static o => (string?)o["role"] != "globals").Select(static o => (string)o["key"]!))
        {
            using var sample = await samples.SmallAsync(cluster);
            var path = sample.Edit()[key];
            var at = random.NextInt64(new FileInfo(path).Length);
            SetEditor.FlipBit(path, at);
            var target = RestoreHelp.NewName();

            var result = await RestoreAsync(sample, target);

            Assert.True(result.ExitCode == 8, $"seed {seed}, {key} at {at}: {result}");
            await cluster.NothingIsLeftAsync(target);
        }
    }

    private static Task<CommandResult> RestoreAsync(Sample sample, string target) =>
        sample.Work.RunAsync("restore", "--latest", "--target-db", target, "--jobs", "2");
}
