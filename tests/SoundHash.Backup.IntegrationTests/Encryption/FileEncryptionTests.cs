using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Encryption;

/// <summary>encrypt and decrypt: the same files as those of age and gpg, whole or not at all.</summary>
public sealed class FileEncryptionTests(PostgresCluster cluster)
{
    [Fact]
    public async Task Age_reads_what_encrypt_wrote_and_decrypt_reads_what_age_wrote()
    {
        using var work = new Workspace(cluster, "postgres");
        var recipient = await work.UseAgeAsync();
        var text = await FillAsync(work, "plain");

        (await work.RunAsync("encrypt", "plain", "--key", recipient)).Expect(0);
        await Command.ShellAsync("age -d -i identity.txt plain.age | cmp - plain; age -r \"$1\" -o theirs.age plain; age -a -r \"$1\" -o armoured.age plain".Replace("$1", recipient, StringComparison.Ordinal), directory: work.Folder);
        (await work.RunAsync("decrypt", "theirs.age", "--identity", "identity.txt")).Expect(0);
        (await work.RunAsync("decrypt", "armoured.age")).Expect(0);

        Assert.Equal(text, await ReadAsync(work, "theirs"));
        Assert.Equal(text, await ReadAsync(work, "armoured"));
        Assert.Equal(text, await ReadAsync(work, "plain"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("correct horse")]
    public async Task Gpg_reads_what_encrypt_wrote_and_decrypt_reads_what_gpg_wrote(string passphrase)
    {
        using var work = new Workspace(cluster, "postgres");
        var key = await GpgAsync(work, passphrase: passphrase);
        var text = await FillAsync(work, "plain");
        await File.WriteAllTextAsync(Path.Combine(work.Folder, "pass"), passphrase, TestContext.Current.CancellationToken);
        work.Set("BACKUP_GPG_PASSPHRASE_FILE", "pass");

        (await work.RunAsync("encrypt", "plain", "--method", "gpg", "--key", key.Fingerprint)).Expect(0);
        await Command.ShellAsync(
            $"""
            gpg --batch --quiet --pinentry-mode loopback --passphrase-file pass -d plain.gpg | cmp - plain
            gpg --batch --quiet --trust-model always -r {key.Fingerprint} -o theirs.gpg -e plain
            gpg --batch --quiet --trust-model always --armor -r {key.Fingerprint} -o armoured.asc -e plain
            """,
            work.Environment,
            work.Folder);
        (await work.RunAsync("decrypt", "theirs.gpg")).Expect(0);
        (await work.RunAsync("decrypt", "armoured.asc", "--output", "again")).Expect(0);

        Assert.Equal(text, await ReadAsync(work, "theirs"));
        Assert.Equal(text, await ReadAsync(work, "again"));
    }

    [Fact]
    public async Task Every_age_recipient_can_decrypt_whatever_form_it_was_given_in()
    {
        using var work = new Workspace(cluster, "postgres");
        await FillAsync(work, "plain");
        await Command.ShellAsync(
            """
            for n in 1 2 3; do age-keygen -o id$n; age-keygen -y id$n > pub$n; done
            ssh-keygen -q -t ed25519 -N '' -f ssh
            { echo '# team'; cat pub2; echo; cat pub3; } > team.txt
            """,
            directory: work.Folder);
        var first = (await ReadAsync(work, "pub1")).Trim();
        var ssh = (await ReadAsync(work, "ssh.pub")).Trim();

        (await work.RunAsync("encrypt", "plain", "--method", "age", "--key", first, "--key", ssh, "--key", "team.txt")).Expect(0);

        foreach (var identity in new[] { "id1", "id2", "id3", "ssh" })
        {
            (await work.RunAsync("decrypt", "plain.age", "--identity", identity, "--output", $"by-{identity}")).Expect(0);
        }

        await Command.ShellAsync("for f in by-*; do cmp $f plain; done", directory: work.Folder);
    }

    [Fact]
    public async Task Gpg_recipients_are_found_by_fingerprint_key_id_and_address()
    {
        using var work = new Workspace(cluster, "postgres");
        var key = await GpgAsync(work);
        await FillAsync(work, "plain");
        foreach (var name in new[] { key.Fingerprint, key.Fingerprint[^16..], "backup@example.org" })
        {
            (await work.RunAsync("encrypt", "plain", "--method", "gpg", "--key", name, "--force")).Expect(0);
            (await work.RunAsync("decrypt", "plain.gpg", "--output", "again", "--force")).Expect(0);
        }
    }

    // Guards against this: gpg trusted any key, and only one recipient could be given.
    [Fact]
    public async Task Two_gpg_keys_with_one_address_are_not_chosen_among()
    {
        using var work = new Workspace(cluster, "postgres");
        var key = await GpgAsync(work);
        await Command.ShellAsync(
            "gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key 'Impostor <backup@example.org>' default default never", work.Environment);
        await FillAsync(work, "plain");

        (await work.RunAsync(
            "encrypt",
            "plain",
            "--method",
            "gpg",
            "--key",
            "backup@example.org")).Expect(7).Says("fits 2 gpg keys").Says(key.Fingerprint);
        Assert.False(File.Exists(Path.Combine(work.Folder, "plain.gpg")));
    }

    [Theory]
    [InlineData("gpg", "nobody@example.org", "gpg knows no key")]
    [InlineData("age", "age1notakey", "can't encrypt to")]
    [InlineData("age", "no-such-file", "neither a public key")]
    public async Task A_recipient_that_is_none_is_an_encryption_error_without_output(string method, string key, string message)
    {
        using var work = new Workspace(cluster, "postgres");
        await GpgAsync(work);
        await FillAsync(work, "plain");

        (await work.RunAsync("encrypt", "plain", "--method", method, "--key", key)).Expect(7).Says(message).Says("hint:");

        AssertFiles(work, "plain");
    }

    [Fact]
    public async Task An_expired_gpg_key_is_refused_with_its_date()
    {
        using var work = new Workspace(cluster, "postgres");
        await GpgAsync(work);
        await FillAsync(work, "plain");
        await Command.ShellAsync(
            "gpg --batch --quiet --faked-system-time 20200101T000000 --pinentry-mode loopback --passphrase '' --quick-generate-key 'old@example.org' default default 1d", work.Environment);

        (await work.RunAsync("encrypt", "plain", "--method", "gpg", "--key", "old@example.org")).Expect(7).Says("expire");

        AssertFiles(work, "plain");
    }

    // Guards against this: an output that existed was deleted by a failed encryption.
    [Fact]
    public async Task An_existing_output_is_neither_replaced_nor_deleted_without_force()
    {
        using var work = new Workspace(cluster, "postgres");
        var recipient = await work.UseAgeAsync();
        await FillAsync(work, "plain");
        await File.WriteAllTextAsync(Path.Combine(work.Folder, "plain.age"), "older and precious", TestContext.Current.CancellationToken);

        (await work.RunAsync("encrypt", "plain", "--key", recipient)).Expect(2).Says("was not touched").Says("--force");
        Assert.Equal("older and precious", await ReadAsync(work, "plain.age"));

        (await work.RunAsync("encrypt", "plain", "--key", recipient, "--force")).Expect(0);
        (await work.RunAsync("decrypt", "plain.age")).Expect(2).Says("was not touched");
        (await work.RunAsync("decrypt", "plain.age", "--force")).Expect(0);
    }

    // With --force, what fails in its middle leaves the old output and no half one.
    [Theory]
    [InlineData("cut")]
    [InlineData("flipped")]
    [InlineData("wrong identity")]
    [InlineData("not encrypted")]
    public async Task A_failed_decryption_leaves_the_old_output_and_no_half_file(string how)
    {
        using var work = new Workspace(cluster, "postgres");
        var recipient = await work.UseAgeAsync();
        await FillAsync(work, "plain");
        (await work.RunAsync("encrypt", "plain", "--key", recipient, "--output", "in.age")).Expect(0);
        var input = Path.Combine(work.Folder, "in.age");
        await File.WriteAllTextAsync(Path.Combine(work.Folder, "in"), "older and precious", TestContext.Current.CancellationToken);
        Action spoil = how switch
        {
            "cut" => () => SetEditor.Cut(input, 400_000),
            "flipped" => () => SetEditor.FlipBit(input),
            "not encrypted" => () => File.Copy(Path.Combine(work.Folder, "plain"), input, overwrite: true),
            _ => () => File.Delete(work.IdentityFile),
        };
        spoil();
        if (how == "wrong identity")
        {
            await Command.ShellAsync("age-keygen -o identity.txt", directory: work.Folder);
        }

        (await work.RunAsync("decrypt", "in.age", "--force")).Expect(7).Says("in.age");
        (await work.RunAsync("decrypt", "in.age", "--output", "fresh")).Expect(7);

        Assert.Equal("older and precious", await ReadAsync(work, "in"));
        AssertFiles(work, "identity.txt", "in", "in.age", "plain");
    }

    // The program dies in the middle of encrypting.
    [Fact]
    public async Task A_program_that_dies_leaves_the_old_output_and_no_half_file()
    {
        using var work = new Workspace(cluster, "postgres");
        var recipient = await work.UseAgeAsync();
        await FillAsync(work, "plain");
        await File.WriteAllTextAsync(Path.Combine(work.Folder, "plain.age"), "older and precious", TestContext.Current.CancellationToken);
        var bin = Path.Combine(work.Folder, "bin");
        Directory.CreateDirectory(bin);
        // The first call is the test of the recipients, with no input.
        await File.WriteAllTextAsync(
            Path.Combine(bin, "age"),
            "#!/bin/sh\nhead -c 1000 >\"$0.in\"\nwc -c <\"$0.in\"\n[ ! -s \"$0.in\" ] || kill -KILL $$\n",
            TestContext.Current.CancellationToken);
        File.SetUnixFileMode(Path.Combine(bin, "age"), (UnixFileMode)0b111_101_101);
        work.Environment["PATH"] = $"{bin}:/usr/bin:/bin";

        (await work.RunAsync("encrypt", "plain", "--key", recipient, "--force")).Expect(7);

        Assert.Equal("older and precious", await ReadAsync(work, "plain.age"));
        AssertFiles(work, "identity.txt", "plain", "plain.age");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_decrypt_that_is_killed_in_the_middle_leaves_no_plaintext(bool force)
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();
        var text = await FillAsync(work, "plain");
        (await work.RunAsync("encrypt", "plain")).Expect(0);
        File.Delete(Path.Combine(work.Folder, "plain"));
        if (force)
        {
            await File.WriteAllTextAsync(Path.Combine(work.Folder, "plain"), "older", TestContext.Current.CancellationToken);
        }

        // Writes half of the text, and then waits until its folder is gone.
        var bin = Path.Combine(work.Folder, "bin");
        Directory.CreateDirectory(bin);
        await File.WriteAllTextAsync(
            Path.Combine(bin, "age"),
            $"#!/bin/bash\n/usr/bin/age \"$@\" | head -c {text.Length / 2}\nwhile [ -e \"$0\" ]; do sleep 0.05; done\n",
            TestContext.Current.CancellationToken);
        File.SetUnixFileMode(Path.Combine(bin, "age"), (UnixFileMode)0b111_101_101);
        work.Environment["PATH"] = $"{bin}:/usr/bin:/bin";

        using var decrypt = work.Start(["decrypt", "plain.age", .. force ? ["--force"] : Array.Empty<string>()]);
        await Eventually.TrueAsync(() => HasWrittenAsync(decrypt.Id, work.Folder, text.Length / 2), "half of the plaintext is written");
        decrypt.Kill();
        await decrypt.WaitForExitAsync(TestContext.Current.CancellationToken);

        AssertFiles(work, force ? ["identity.txt", "plain", "plain.age"] : ["identity.txt", "plain.age"]);
        Assert.True(!force || await ReadAsync(work, "plain") == "older");
    }

    // Guards against this: an age passphrase never worked without a terminal, and nobody said so.
    [Fact]
    public async Task Age_without_a_recipient_says_what_stands_in_for_a_passphrase()
    {
        using var work = new Workspace(cluster, "postgres");
        await FillAsync(work, "plain");

        (await work.RunAsync("encrypt", "plain", "--method", "age")).Expect(3).Says("passphrase").Says("age-keygen");

        AssertFiles(work, "plain");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_under_an_age_passphrase_says_that_age_opens_it_on_a_terminal(bool withIdentity)
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();
        work.Set("BACKUP_DECRYPTION_IDENTITY_FILE", withIdentity ? work.IdentityFile : string.Empty);
        // age --passphrase, of "hello".
        const string Sealed =
            "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBDQ0NCRFVWTkVPWUlzanVOTGFnTllnIDE4CkNWazVhRTVNVFJWQTMvdkZlb2g0RGY4UGdwTi9DWHU4azVFV00yZGlm"
            + "dzgKLS0tIDVjQmNjcmhFU1NLYTE5dDE1N3BUMGhQd01seTRsdFBnekk2K3AxRVluVDgKqe4ECfHshBZEPV3+SSiebxjU1ZqfJ70tCtbHvMmOb1iA/iAX+GI=";
        await File.WriteAllBytesAsync(Path.Combine(work.Folder, "secret.age"), Convert.FromBase64String(Sealed), TestContext.Current.CancellationToken);

        (await work.RunAsync("decrypt", "secret.age")).Expect(7).Says("age --decrypt FILE").Says("terminal");

        AssertFiles(work, "identity.txt", "secret.age");
    }

    // Guards against this: an identity under a passphrase would wait for a terminal for ever.
    [Fact]
    public async Task An_identity_under_a_passphrase_without_a_terminal_says_what_to_use_instead()
    {
        using var work = new Workspace(cluster, "postgres");
        var recipient = await work.UseAgeAsync();
        await FillAsync(work, "plain");
        (await work.RunAsync("encrypt", "plain", "--key", recipient)).Expect(0);
        await File.WriteAllTextAsync(
            Path.Combine(work.Folder, "locked"),
            "-----BEGIN AGE ENCRYPTED FILE-----\nx\n-----END AGE ENCRYPTED FILE-----\n",
            TestContext.Current.CancellationToken);

        (await work.RunAsync("decrypt", "plain.age", "--identity", "locked", "--output", "again")).Expect(7).Says("terminal").Says("hint:");

        Assert.False(File.Exists(Path.Combine(work.Folder, "again")));
    }

    // Guards against this: --key carried the secret key into the process list.
    [Fact]
    public async Task A_secret_key_is_refused_as_an_option_and_as_a_setting()
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();
        await FillAsync(work, "plain");
        var secret = (
            await ReadAsync(work, "identity.txt")).Split('\n').First(static l => l.StartsWith("AGE-SECRET-KEY-", StringComparison.Ordinal));

        var asOption = (await work.RunAsync("encrypt", "plain", "--key", secret)).Expect(7).Says("secret key where a public one belongs");
        Assert.DoesNotContain(secret, asOption.Error, StringComparison.Ordinal);
        var asSetting = (await work.Set("BACKUP_ENCRYPTION_KEY", secret).RunAsync("backup")).Expect(7);
        Assert.DoesNotContain(secret, asSetting.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(work.Folder, "plain.age")));
    }

    // Every program that is started leaves its arguments here.
    [Fact]
    public async Task No_secret_is_on_the_command_line_of_any_program()
    {
        using var work = new Workspace(cluster, "postgres");
        await GpgAsync(work, passphrase: "hunter2 secret");
        var recipient = await work.UseAgeAsync();
        await FillAsync(work, "plain");
        await File.WriteAllTextAsync(Path.Combine(work.Folder, "pass"), "hunter2 secret", TestContext.Current.CancellationToken);
        work.Set(
            "BACKUP_GPG_PASSPHRASE_FILE",
            "pass").Set("DATABASE_PASSWORD", "hunter3secret").Set("DATABASE_NAME", await cluster.CreateDatabaseAsync("SELECT 1"));
        var bin = Path.Combine(work.Folder, "bin");
        var log = Path.Combine(work.Folder, "arguments");
        Directory.CreateDirectory(bin);
        foreach (var (program, real) in new[] { ("age", "/usr/bin"), ("gpg", "/usr/bin") })
        {
            await File.WriteAllTextAsync(
                Path.Combine(bin, program),
                $"#!/bin/sh\necho {program} \"$@\" >>'{log}'\nexec {real}/{program} \"$@\"\n",
                TestContext.Current.CancellationToken);
            File.SetUnixFileMode(Path.Combine(bin, program), (UnixFileMode)0b111_101_101);
        }

        work.Environment["PATH"] = $"{bin}:/usr/bin:/bin";
        string[] programs = ["pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb"];
        work.FakePrograms(programs, $"echo \"$(basename \"$0\")\" \"$@\" >>'{log}'\nexec \"$REAL\" \"$@\"");
        (await work.RunAsync("encrypt", "plain", "--key", recipient)).Expect(0);
        (await work.RunAsync("decrypt", "plain.age", "--force")).Expect(0);
        (await work.RunAsync("encrypt", "plain", "--method", "gpg", "--key", "backup@example.org")).Expect(0);
        (await work.RunAsync("decrypt", "plain.gpg", "--force")).Expect(0);
        await work.BackupAsync();
        (await work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName())).Expect(0);
        // Into what exists it goes through psql.
        (await work.RunAsync("restore", "--latest", "--target-db", await cluster.CreateDatabaseAsync("SELECT 1"))).Expect(0);

        var arguments = await ReadAsync(work, "arguments");
        Assert.Contains("age --decrypt --identity", arguments, StringComparison.Ordinal);
        // More than the question for its version.
        Assert.All(["gpg", .. programs], p => Assert.Matches($"(?m)^{p} (?!--version)", arguments));
        Assert.DoesNotContain("hunter", arguments, StringComparison.Ordinal);
        Assert.DoesNotContain("AGE-SECRET-KEY", arguments, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("encrypt")]
    [InlineData("decrypt")]
    public async Task A_missing_input_is_a_storage_error_that_names_it(string verb)
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();

        (await work.RunAsync(verb, "absent.age")).Expect(6).Says("absent.age");

        AssertFiles(work, "identity.txt");
    }

    [Fact]
    public async Task An_output_that_can_not_be_written_is_a_storage_error()
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();
        await FillAsync(work, "plain");

        (await work.RunAsync("encrypt", "plain", "--output", "absent/out.age")).Expect(6).Says("absent");
    }

    [Fact]
    public async Task A_decrypted_file_is_for_its_owner_only()
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();
        await FillAsync(work, "plain");
        (await work.RunAsync("encrypt", "plain")).Expect(0);
        (await work.RunAsync("decrypt", "plain.age", "--output", "again")).Expect(0);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(work.Folder, "again")));
    }

    [Fact]
    public async Task A_name_without_a_known_suffix_needs_an_output()
    {
        using var work = new Workspace(cluster, "postgres");
        await work.UseAgeAsync();
        await FillAsync(work, "plain");

        (await work.RunAsync("decrypt", "plain")).Expect(2).Says("--output");
        (await work.RunAsync("encrypt", "plain", "--output", "./plain")).Expect(2).Says("same file");
    }

    private static async Task<GpgHome> GpgAsync(Workspace work, string passphrase = "")
    {
        var key = await GpgHome.MakeAsync(Path.Combine(work.Folder, ".gnupg"), passphrase: passphrase);
        work.Environment["GNUPGHOME"] = key.Home;
        return key;
    }

    // Looks at the open files of a process: the one in the folder, whatever its name, or none.
    private static async Task<bool> HasWrittenAsync(int pid, string folder, int bytes)
    {
        var files = await Command.RunAsync(
            "find",
            ["-L", $"/proc/{pid}/fd", "-type", "f", "-size", $"+{bytes - 1}c", "-printf", "%p\n"],
            null,
            null);
        return files.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static f => new FileInfo(f).LinkTarget ?? string.Empty)
            .Any(t => t.StartsWith($"{folder}/", StringComparison.Ordinal) && !t.EndsWith(".age", StringComparison.Ordinal));
    }

    // More than the pipes to a child hold, so that a failure comes in the middle.
    private static async Task<string> FillAsync(Workspace work, string name)
    {
        var text = string.Join('\n', Enumerable.Range(0, 400_000));
        await File.WriteAllTextAsync(Path.Combine(work.Folder, name), text, TestContext.Current.CancellationToken);
        return text;
    }

    private static Task<string> ReadAsync(Workspace work, string name) =>
        File.ReadAllTextAsync(Path.Combine(work.Folder, name), TestContext.Current.CancellationToken);

    // Hidden files would be half written ones; the settings file is ours.
    private static void AssertFiles(Workspace work, params string[] names) => Assert.Equal(
        names.Order(StringComparer.Ordinal),
        Directory.EnumerateFiles(work.Folder).Select(
            static f => Path.GetFileName(f)).Where(static f => f != ".env").Order(StringComparer.Ordinal));
}
