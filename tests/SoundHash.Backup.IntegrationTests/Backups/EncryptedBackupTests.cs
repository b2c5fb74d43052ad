using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Encrypted at rest means that no plain byte is anywhere: once the plain dump stayed beside the encrypted one.</summary>
public sealed class EncryptedBackupTests(PostgresCluster cluster)
{
    private const string Secret = "the-fox-keeps-its-den-secret";

    private static string Tables =>
        $"CREATE TABLE {Secret.Replace('-', '_')} (t text); INSERT INTO {Secret.Replace('-', '_')} SELECT '{Secret} ' || g FROM generate_series(1, 20000) g";

    private Task<string> DatabaseAsync() => cluster.CreateDatabaseAsync(Tables);

    [Theory]
    [InlineData("none")]
    [InlineData("zstd")]
    public async Task No_plain_byte_and_no_temporary_file_is_written_when_encryption_is_on(string compression)
    {
        using var work = new Workspace(cluster, await DatabaseAsync());
        await work.UseAgeAsync();
        using var temporary = new TempFolder("tmp");
        work.Set("BACKUP_COMPRESSION", compression);
        work.Environment["TMPDIR"] = temporary.Path;
        work.Environment["DOTNET_EnableDiagnostics"] = "0"; // the runtime's own sockets

        using (var gate = new DumpGate(work, Moment.InTheMiddle))
        {
            using var backup = work.Start("backup");
            await gate.ReachedAsync(backup);
            await BackupProbe.AssertNowhereAsync(work.Repository, Secret);
            Assert.Empty(Directory.EnumerateFiles(temporary.Path));
            gate.Open();
            (await Command.FinishAsync(backup)).Expect(0);
        }

        await BackupProbe.AssertNowhereAsync(work.Repository, Secret);
        await BackupProbe.AssertNowhereAsync(work.Repository, Secret.Replace('-', '_'));
        Assert.Empty(Directory.EnumerateFiles(temporary.Path));
    }

    [Fact]
    public async Task The_search_for_plain_bytes_finds_them_where_they_are()
    {
        using var work = new Workspace(cluster, await DatabaseAsync());
        await work.UseAgeAsync();
        work.Set("BACKUP_COMPRESSION", "none");
        await work.BackupAsync("--no-encrypt");

        await Assert.ThrowsAnyAsync<Exception>(() => BackupProbe.AssertNowhereAsync(work.Repository, Secret));
    }

    // Guards against this: mode 0644.
    [Fact]
    public async Task Files_are_0600_in_folders_0700_whatever_the_umask()
    {
        using var work = new Workspace(cluster, await DatabaseAsync());
        (await work.RunAsync("--version")).Expect(0);
        (await Command.RunAsync(
            "sh",
            ["-c", "umask 0; exec \"$0\" backup", Workspace.Executable],
            work.CleanEnvironment(),
            work.Folder)).Expect(0);

        Assert.Equal("600", await ModesAsync(work, "f"));
        Assert.Equal("700", await ModesAsync(work, "d"));
    }

    [Fact]
    public async Task With_BACKUP_GROUP_the_group_may_read_the_sets()
    {
        using var work = new Workspace(cluster, await DatabaseAsync());
        work.Set("BACKUP_GROUP", "daemon");
        await work.BackupAsync();

        var sets = Path.Combine(work.Repository, "sets");
        Assert.Equal("640 daemon", (await Command.ShellAsync($"find '{sets}' -type f -printf '%m %g\\n' | sort -u")).Output.Trim());
        Assert.Equal("750 daemon", (await Command.ShellAsync($"stat -c '%a %G' '{work.Repository}'")).Output.Trim());
        Assert.Equal("750 daemon", (await Command.ShellAsync($"find '{sets}' -type d -printf '%m %g\\n' | sort -u")).Output.Trim());

        work.Set("BACKUP_GROUP", "no-such-group");
        work.Set("BACKUP_HOOK_PRE_BACKUP", "touch hooked");
        (await work.RunAsync("backup")).Expect(3).Says("BACKUP_GROUP='no-such-group'");
        (await work.RunAsync("backup", "--dry-run")).Expect(3).Says("BACKUP_GROUP='no-such-group'");
        Assert.False(File.Exists(Path.Combine(work.Folder, "hooked")));
    }

    [Fact]
    public async Task Every_age_recipient_can_decrypt_and_nobody_else()
    {
        using var work = new Workspace(cluster, await DatabaseAsync());
        var first = await work.UseAgeAsync();
        var identities = Path.Combine(work.Folder, "others");
        await Command.ShellAsync($"mkdir '{identities}'; age-keygen -o '{identities}/second'; age-keygen -o '{identities}/stranger'; ssh-keygen -q -t ed25519 -N '' -f '{identities}/ssh'");
        var second = (await Command.ShellAsync($"age-keygen -y '{identities}/second'")).Output.Trim();
        var ssh = (await File.ReadAllTextAsync($"{identities}/ssh.pub", TestContext.Current.CancellationToken)).Trim();
        await File.WriteAllTextAsync(
            Path.Combine(work.Folder, "recipients.txt"),
            $"# ours\n{second}\n{ssh}\n",
            TestContext.Current.CancellationToken);
        work.Set("BACKUP_ENCRYPTION_KEY", $"{first},./recipients.txt");

        var id = await work.BackupAsync();

        var dump = Path.Combine(work.SetFolder(id), "database.dump.zst.age");
        foreach (var identity in new[] { work.IdentityFile, $"{identities}/second", $"{identities}/ssh" })
        {
            await Command.ShellAsync($"age -d -i '{identity}' '{dump}' | zstd -dcq | {{ pg_restore --list; cat >/dev/null; }}");
        }

        Assert.NotEqual(0, (await Command.RunAsync("age", "-d", "-i", $"{identities}/stranger", "-o", "/dev/null", dump)).ExitCode);
        work.Set("BACKUP_DECRYPTION_IDENTITY_FILE", $"{identities}/stranger");
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(7);
    }

    [Theory]
    [InlineData("age1notakeyatall", 7)]
    [InlineData("/no/such/recipients.txt", 7)]
    [InlineData("AGE-SECRET-KEY-1QQQQ", 7)]
    [InlineData("", 3)]
    public async Task An_unusable_age_recipient_fails_before_anything_is_written(string key, int code)
    {
        using var work = new Workspace(cluster, await DatabaseAsync());
        await work.UseAgeAsync();
        work.Set("BACKUP_ENCRYPTION_KEY", key);

        (await work.RunAsync("backup")).Expect(code).Says("BACKUP_ENCRYPTION_KEY");

        Assert.False(Directory.Exists(work.Repository));
    }

    [Fact]
    public async Task A_backup_for_several_gpg_keys_is_read_with_gpg_alone_by_each()
    {
        using var work = new Workspace(cluster, await DatabaseAsync());
        using var ring = await GpgRing.CreateAsync(work);
        var first = await ring.KeyAsync("First <first@example.org>");
        await ring.KeyAsync("Second <second@example.org>");
        work.Set("BACKUP_ENCRYPTION_KEY", $"{first},second@example.org");

        var id = await work.BackupAsync();

        await BackupProbe.AssertNowhereAsync(work.Repository, Secret);
        await ring.ShellAsync("sha256sum -c --quiet SHA256SUMS; for f in *.dump.zst.gpg; do gpg --batch --quiet -d $f | zstd -dcq | { pg_restore --list; cat >/dev/null; }; done", work.SetFolder(id));
        var packets = await ring.ShellAsync(
            "gpg --batch --list-packets database.dump.zst.gpg 2>&1 | grep -c 'pubkey enc packet'",
            work.SetFolder(id));
        Assert.Equal("2", packets.Output.Trim());
        (await work.RunAsync("backup", "verify", id, "--deep")).Expect(0);
    }

    [Fact]
    public async Task An_unknown_or_expired_or_ambiguous_gpg_key_fails_before_anything_is_written()
    {
        using var work = new Workspace(cluster, await DatabaseAsync());
        using var ring = await GpgRing.CreateAsync(work);
        await ring.KeyAsync("Old <old@example.org>", "--faked-system-time 20200101T000000", "1d");
        await ring.KeyAsync("Twin one <twin@example.org>");
        await ring.KeyAsync("Twin two <twin@example.org>");

        work.Set("BACKUP_ENCRYPTION_KEY", "nobody@example.org");
        (await work.RunAsync("backup")).Expect(7).Says("gpg knows no key 'nobody@example.org'").Says("gpg --import");
        work.Set("BACKUP_ENCRYPTION_KEY", "old@example.org");
        (await work.RunAsync("backup")).Expect(7).Says("expired").Says("--quick-set-expire");
        work.Set("BACKUP_ENCRYPTION_KEY", "twin@example.org");
        (await work.RunAsync("backup")).Expect(7).Says("fits 2 gpg keys");

        Assert.False(Directory.Exists(work.Repository));
    }

    private static async Task<string> ModesAsync(Workspace work, string type) =>
        (await Command.ShellAsync($"find '{work.Repository}' -type {type} -printf '%m\\n' | sort -u")).Output.Trim();

    /// <summary>A gpg keyring of its own, with an agent that ends with it.</summary>
    private sealed class GpgRing : IDisposable
    {
        private readonly TempFolder _home = new("gpg");

        public static async Task<GpgRing> CreateAsync(Workspace work)
        {
            var ring = new GpgRing();
            File.SetUnixFileMode(ring._home.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            work.Environment["GNUPGHOME"] = ring._home.Path;
            work.Set("BACKUP_ENCRYPTION_ENABLED", "true").Set("BACKUP_ENCRYPTION_METHOD", "gpg");
            await ring.ShellAsync("gpg --version");
            return ring;
        }

        /// <summary>Makes a key and returns its fingerprint.</summary>
        public async Task<string> KeyAsync(string user, string options = "", string expires = "never")
        {
            var made = await ShellAsync(
                $"gpg --batch --quiet {options} --pinentry-mode loopback --passphrase '' --status-fd 1 --quick-gen-key '{user}' future-default default {expires} | sed -n 's/.*KEY_CREATED . //p'");
            return made.Output.Trim();
        }

        public Task<CommandResult> ShellAsync(string script, string? folder = null) =>
            Command.ShellAsync(script, new Dictionary<string, string?> { ["GNUPGHOME"] = _home.Path }, folder);

        public void Dispose()
        {
            ShellAsync("gpgconf --kill all").GetAwaiter().GetResult();
            _home.Dispose();
        }
    }
}
