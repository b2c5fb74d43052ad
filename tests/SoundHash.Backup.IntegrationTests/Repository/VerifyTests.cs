using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Repository;

/// <summary>verify finds every kind of damage, and needs nothing but the repository to do it.</summary>
public sealed class VerifyTests(PostgresCluster cluster, Samples samples)
{
    [Fact]
    public async Task Stored_hashes_are_checked_without_a_key_a_server_or_any_other_program()
    {
        using var sample = await samples.SplitAsync(cluster, "age");
        sample.Work.Unset("BACKUP_DECRYPTION_IDENTITY_FILE").Set("DATABASE_HOST", "/nowhere").Set("PG_BIN_DIR", "/nowhere");
        sample.Work.Environment["PATH"] = "/nowhere";

        var result = (await sample.Work.RunAsync("backup", "verify", "--all")).Expect(0);

        Assert.Contains("1 of 1 sets are as they were written", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SHA256SUMS_is_what_sha256sum_reads()
    {
        using var sample = await samples.SplitAsync(cluster, "age");

        var result = await Command.ShellAsync("sha256sum --check --strict SHA256SUMS", directory: sample.Folder);

        Assert.Contains("data-0001.dump.zst.age: OK", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("age")]
    [InlineData("gpg")]
    public async Task Deep_decrypts_decompresses_and_reads_every_archive(string encryption)
    {
        using var sample = await samples.SplitAsync(cluster, encryption);

        var result = (await sample.Work.RunAsync("backup", "verify", sample.Id, "--deep")).Expect(0);

        Assert.Contains("decoded and readable", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("none", false)]
    [InlineData("none", true)]
    [InlineData("age", false)]
    [InlineData("age", true)]
    [InlineData("gpg", true)]
    public async Task A_flipped_bit_in_any_object_is_damage_and_never_a_wrong_key(string encryption, bool deep)
    {
        using var sample = await samples.SmallAsync(cluster, encryption);
        var edit = sample.Edit();
        foreach (var role in new[] { "dump", "globals", "contents" })
        {
            var path = edit[edit.Key(role)];
            var intact = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
            SetEditor.FlipBit(path);

            var result = await VerifyAsync(sample, deep);

            Assert.True(result.ExitCode == 8 && result.Error.Contains(edit.Key(role), StringComparison.Ordinal), $"{role}: {result}");
            await File.WriteAllBytesAsync(path, intact, TestContext.Current.CancellationToken);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_missing_object_is_damage(bool deep)
    {
        using var sample = await samples.SmallAsync(cluster, "age");
        var edit = sample.Edit();
        File.Delete(edit[edit.Key("globals")]);

        (await VerifyAsync(sample, deep)).Expect(8).Says(edit.Key("globals"));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task A_shorter_or_longer_object_is_damage(int by)
    {
        using var sample = await samples.SmallAsync(cluster);
        var edit = sample.Edit();
        var path = edit[edit.Key("dump")];
        SetEditor.Cut(path, new FileInfo(path).Length + by);

        (await VerifyAsync(sample, deep: false)).Expect(8).Says(edit.Key("dump"));
    }

    [Fact]
    public async Task An_object_of_another_set_is_damage()
    {
        using var sample = await samples.SmallAsync(cluster);
        using var other = await samples.SplitAsync(cluster);
        var edit = sample.Edit();
        File.Copy(other.Edit()[other.Edit().Key("globals")], edit[edit.Key("contents")], overwrite: true);

        (await VerifyAsync(sample, deep: false)).Expect(8).Says(edit.Key("contents"));
    }

    [Fact]
    public async Task SHA256SUMS_that_differs_or_is_missing_is_damage()
    {
        using var sample = await samples.SmallAsync(cluster);
        var sums = sample.Edit()["SHA256SUMS"];
        var text = await File.ReadAllTextAsync(sums, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(sums, (text[0] == '0' ? '1' : '0') + text[1..], TestContext.Current.CancellationToken);
        (await VerifyAsync(sample, deep: false)).Expect(8).Says("SHA256SUMS of set").Says("differs");

        File.Delete(sums);
        (await VerifyAsync(sample, deep: false)).Expect(8).Says("SHA256SUMS of set").Says("missing");
    }

    // Guards against this: "verification" was a look at the size. All sizes and stored hashes fit here; the archive is none.
    [Fact]
    public async Task Deep_finds_an_archive_that_pg_restore_can_not_read()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ReplaceAsync("dump", "PGDMP and then nothing of use");

        (await VerifyAsync(sample, deep: false)).Expect(0);
        (await VerifyAsync(sample, deep: true)).Expect(8).Says("pg_restore");
    }

    // Guards against this: a dump without one of its tables passed.
    [Fact]
    public async Task Deep_finds_a_table_that_no_archive_holds()
    {
        using var sample = await samples.SmallAsync(cluster);
        await sample.Edit().ChangeContentsAsync(static c => c["tables"]![0]!["name"] = "lost table");

        (await VerifyAsync(sample, deep: true)).Expect(8).Says("lost table");
    }

    [Fact]
    public async Task Deep_finds_plain_bytes_that_are_not_the_recorded_ones()
    {
        using var sample = await samples.SmallAsync(cluster);
        var edit = sample.Edit();
        edit.Object("globals")["plainXxHash128"] = new string('0', 32);
        edit.SaveManifest();

        (await VerifyAsync(sample, deep: false)).Expect(0);
        (await VerifyAsync(sample, deep: true)).Expect(8).Says(edit.Key("globals"));
    }

    [Theory]
    [InlineData("age")]
    [InlineData("gpg")]
    public async Task Deep_with_the_wrong_key_is_an_encryption_error_and_not_damage(string encryption)
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

        (await VerifyAsync(sample, deep: true)).Expect(7).Says("can't be decrypted");
    }

    [Fact]
    public async Task Nothing_to_verify_is_a_failure()
    {
        using var work = new Workspace(cluster, "postgres");

        (await work.RunAsync("backup", "verify", "--all")).Expect(8).Says("nothing was verified");
    }

    [Fact]
    public async Task A_set_that_is_not_there_and_no_choice_at_all_are_failures()
    {
        using var sample = await samples.SmallAsync(cluster);

        (await sample.Work.RunAsync("backup", "verify", "no_such_set")).Expect(1).Says("hint: shbackup backup list");
        (await sample.Work.RunAsync("backup", "verify")).Expect(2).Says("--all");
    }

    [Fact]
    public async Task All_goes_on_after_a_bad_set_and_fails_for_it()
    {
        using var sample = await samples.SmallAsync(cluster);
        using var other = await samples.SplitAsync(cluster);
        await Command.ShellAsync($"cp -a '{other.Folder}' '{sample.Folder}/..'");
        await File.WriteAllTextAsync(sample.Edit().ManifestPath, "{", TestContext.Current.CancellationToken);

        var result = (await VerifyAsync(sample, deep: false)).Expect(8).Says(sample.Id);

        Assert.Contains("1 of 2 sets", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_goes_on_after_a_set_that_can_not_be_decrypted_and_ends_with_the_worst_code()
    {
        using var sample = await samples.SmallAsync(cluster, "age");
        using var plain = await samples.SmallAsync(cluster);
        await Command.ShellAsync($"cp -a '{plain.Folder}' '{sample.Work.SetFolder("plain_20200101_000000")}'");
        var other = new SetEditor(sample.Work.SetFolder("plain_20200101_000000"));
        other.Manifest["id"] = "plain_20200101_000000";
        other.Date(SetEditor.Now.AddDays(-3));
        sample.Work.Unset("BACKUP_DECRYPTION_IDENTITY_FILE");

        var result = (
            await VerifyAsync(sample, deep: true)).Expect(7).Says("no identity is given").Says("hint: name the file with the secret key");
        Assert.Contains("1 of 2 sets are as they were written, decoded and readable; 1 not checked", result.Output, StringComparison.Ordinal);
        Assert.Contains($"{sample.Id}  not checked: no key that opens it\n", result.Output, StringComparison.Ordinal);

        SetEditor.FlipBit(other[other.Key("dump")]);
        var document = await sample.Work.JsonAsync(8, "backup", "verify", "--all", "--deep");
        Assert.Equal(8, document.GetProperty("exitCode").GetInt32());
        Assert.All(document.GetProperty("sets").EnumerateArray(), static s => Assert.Equal(1, s.GetProperty("problems").GetArrayLength()));
        Assert.Single(document.GetProperty("sets").EnumerateArray(), static s => s.GetProperty("notChecked").GetBoolean());
    }

    [Fact]
    public async Task What_verify_finds_comes_with_what_to_do()
    {
        using var sample = await samples.SmallAsync(cluster);
        SetEditor.FlipBit(sample.Edit()[sample.Edit().Key("dump")]);

        (await VerifyAsync(sample, deep: false)).Expect(8).Says("hint: use another set or copy");
    }

    // The listing of a database with hundreds of thousands of large objects is larger than what is read of other programs.
    [Fact]
    public async Task Deep_reads_a_table_of_contents_of_any_size()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.FakePrograms(
            "pg_restore",
            """
            [ "$1" = --list ] || exec $REAL "$@"
            seq 1000000 | sed 's/.*/&; 2613 & BLOB - & postgres/'
            exec $REAL "$@"
            """);

        (await VerifyAsync(sample, deep: true)).Expect(0);

        await sample.Edit().ChangeContentsAsync(static c => c["tables"]![0]!["name"] = "lost table");
        (await VerifyAsync(sample, deep: true)).Expect(8).Says("lost table");
    }

    [Fact]
    public async Task A_repository_that_was_copied_without_its_file_times_is_as_good()
    {
        using var sample = await samples.SmallAsync(cluster);
        await Command.ShellAsync("find . -exec touch -d '2001-02-03' {} +", directory: sample.Work.Repository);

        (await VerifyAsync(sample, deep: false)).Expect(0);
        (await sample.Work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0);
    }

    private static Task<CommandResult> VerifyAsync(Sample sample, bool deep) =>
        sample.Work.RunAsync(["backup", "verify", "--all", .. deep ? ["--deep"] : Array.Empty<string>()]);
}
