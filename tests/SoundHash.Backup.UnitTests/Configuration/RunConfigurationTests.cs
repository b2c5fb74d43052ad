using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Configuration;

/// <summary>Repository, encryption, compression and retention: each setting on and off.</summary>
public sealed class RunConfigurationTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_repository_is_below_BACKUP_DIR_and_its_cluster()
    {
        var plain = RepositoryConfiguration.Read(Settings.OfEnvironment(("BACKUP_DIR", "/backups")));
        AssertLocal("/backups", null, "/backups/state", plain);

        var cluster = RepositoryConfiguration.Read(Settings.OfEnvironment(("BACKUP_DIR", "/backups"), ("BACKUP_CLUSTER", "main")));
        AssertLocal("/backups/main", null, "/backups/main/state", cluster);

        var all = RepositoryConfiguration.ReadForWriting(Settings.OfEnvironment(
            ("BACKUP_DIR", "/backups"), ("BACKUP_CLUSTER", "main"), ("BACKUP_STATE_DIR", "/var/lib/shbackup"), ("BACKUP_GROUP", "root")));
        AssertLocal("/backups/main", "root", "/var/lib/shbackup", all);
    }

    private static void AssertLocal(string directory, string? group, string state, RepositoryConfiguration read)
    {
        Assert.Equal([new LocalStoreSettings("local", directory, group)], read.Stores);
        Assert.Equal(state, read.StateDirectory);
    }

    [Fact]
    public void What_writes_WAL_writes_it_for_the_group_as_sets_are()
    {
        static string? GroupOf(WalConfiguration read) => Assert.IsType<LocalStoreSettings>(Assert.Single(read.Stores)).Group;

        Assert.Equal("root", GroupOf(WalConfiguration.ReadForArchiving(Settings.OfEnvironment(("BACKUP_GROUP", "root")))));
        Assert.Equal("root", GroupOf(WalConfiguration.ReadForWriting(Settings.OfEnvironment(("BACKUP_GROUP", "root")))));
        Assert.Null(GroupOf(WalConfiguration.Read(Settings.OfEnvironment(("BACKUP_GROUP", "no-such-group")))));
    }

    [Fact]
    public void A_group_that_does_not_exist_is_one_of_the_problems_told_at_once_and_stops_no_verb_that_only_reads()
    {
        var writing = Settings.OfEnvironment(("BACKUP_GROUP", "no-such-group"), ("BACKUP_CLUSTER", "a/b"));
        RepositoryConfiguration.ReadForWriting(writing);
        var message = writing.Refused().Message;
        Assert.Contains("BACKUP_GROUP='no-such-group' is no group of this machine", message, StringComparison.Ordinal);
        Assert.Contains("BACKUP_CLUSTER='a/b'", message, StringComparison.Ordinal);

        var reading = Settings.OfEnvironment(("BACKUP_GROUP", "no-such-group"));
        Assert.Equal([new LocalStoreSettings("local", Path.GetFullPath("backups"), null)], RepositoryConfiguration.Read(reading).Stores);
        reading.ThrowIfInvalid();
    }

    [Theory]
    [InlineData("../other")]
    [InlineData("a/b")]
    [InlineData("..")]
    [InlineData("with space")]
    public void A_cluster_is_a_plain_folder_name(string cluster)
    {
        var settings = Settings.OfEnvironment(("BACKUP_CLUSTER", cluster));

        RepositoryConfiguration.Read(settings);

        Assert.StartsWith($"BACKUP_CLUSTER='{cluster}' may hold", settings.Refused().Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("BACKUP_CROSS_REGION_ENABLED", "true", "false")]
    [InlineData("BACKUP_LOCAL_ENABLED", "false", "true")]
    [InlineData("BACKUP_REQUIRED_COPIES", "2", "1")]
    public void Copies_that_can_not_be_made_stop_a_backup_and_nothing_else(string name, string wanted, string possible)
    {
        var refused = Settings.OfEnvironment((name, wanted));
        RepositoryConfiguration.ReadForBackup(refused, StoreChoice.Enabled);
        Assert.StartsWith($"{name}='{wanted}' ", refused.Refused().Message, StringComparison.Ordinal);

        var other = Settings.OfEnvironment((name, wanted));
        RepositoryConfiguration.Read(other);
        other.ThrowIfInvalid();

        var fine = Settings.OfEnvironment((name, possible));
        RepositoryConfiguration.ReadForBackup(fine, StoreChoice.Enabled);
        fine.ThrowIfInvalid();
    }

    [Fact]
    public void Encryption_is_off_until_it_is_turned_on()
    {
        var settings = Settings.OfEnvironment();

        Assert.Equal(EncryptionMethod.None, EncryptionConfiguration.Read(settings).Method);
        settings.ThrowIfInvalid();
    }

    // A line that is lost or misspelt must not mean a backup in clear text.
    [Theory]
    [InlineData("BACKUP_ENCRYPTION_KEY", "age1abc", "BACKUP_ENCRYPTION_ENABLED must say true or false")]
    [InlineData("BACKUP_ENCRYPTION_METHOD", "age", "BACKUP_ENCRYPTION_ENABLED must say true or false")]
    [InlineData("BACKUP_ENCRYPT", "true", "BACKUP_ENCRYPT is unknown, and might mean that backups are to be encrypted")]
    [InlineData("BACKUP_ENCRYPTED", "true", "BACKUP_ENCRYPTED is unknown, and might mean that backups are to be encrypted")]
    public void What_may_mean_to_encrypt_without_a_word_on_whether_to_is_refused(string name, string value, string says)
    {
        var silent = Settings.OfEnvironment((name, value));
        _ = EncryptionConfiguration.Read(silent);
        Assert.StartsWith(says, silent.Refused().Message, StringComparison.Ordinal);

        var off = Settings.OfEnvironment(("BACKUP_ENCRYPTION_KEY", "age1abc"), ("BACKUP_ENCRYPTION_ENABLED", "false"));
        Assert.Equal(EncryptionMethod.None, EncryptionConfiguration.Read(off).Method);
        off.ThrowIfInvalid();
    }

    [Fact]
    public void Recipients_files_are_relative_to_the_env_file_and_keys_are_left_as_they_are()
    {
        var env = _folder.Write(
            ".env",
            """
            BACKUP_ENCRYPTION_ENABLED=true
            BACKUP_ENCRYPTION_METHOD=age
            BACKUP_ENCRYPTION_KEY=age1abc, keys/recipients.txt, ssh-ed25519 AAAA
            BACKUP_DECRYPTION_IDENTITY_FILE=id.txt
            BACKUP_GPG_PASSPHRASE_FILE=pass

            """);

        var encryption = EncryptionConfiguration.Read(Settings.OfFile(env));

        Assert.Equal(EncryptionMethod.Age, encryption.Method);
        Assert.Equal(["age1abc", _folder["keys/recipients.txt"], "ssh-ed25519 AAAA"], encryption.Recipients);
        Assert.Equal([_folder["id.txt"]], encryption.IdentityFiles);
        Assert.Equal(_folder["pass"], encryption.GpgPassphraseFile);
    }

    [Fact]
    public void Gpg_is_the_default_and_its_keys_are_no_paths()
    {
        var encryption = EncryptionConfiguration.Read(Settings.OfEnvironment(
            ("BACKUP_ENCRYPTION_ENABLED", "true"), ("BACKUP_ENCRYPTION_KEY", "alice@example.org,ABCD")));

        Assert.Equal(EncryptionMethod.Gpg, encryption.Method);
        Assert.Equal(["alice@example.org", "ABCD"], encryption.Recipients);
    }

    [Theory]
    [InlineData("gpg", "user id")]
    [InlineData("age", "age-keygen")]
    [InlineData("age", "passphrase")]
    public void Encryption_without_a_recipient_is_refused_and_says_what_may_be_one(string method, string says)
    {
        var settings = Settings.OfEnvironment(("BACKUP_ENCRYPTION_ENABLED", "true"), ("BACKUP_ENCRYPTION_METHOD", method));

        EncryptionConfiguration.Read(settings);

        var message = settings.Refused().Message;
        Assert.StartsWith("BACKUP_ENCRYPTION_KEY must name a recipient, since encryption is on", message, StringComparison.Ordinal);
        Assert.Contains(says, message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_method_is_refused_and_never_no_encryption()
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_ENCRYPTION_ENABLED", "true"), ("BACKUP_ENCRYPTION_METHOD", "rot13"), ("BACKUP_ENCRYPTION_KEY", "x"));

        EncryptionConfiguration.Read(settings);

        Assert.Equal("BACKUP_ENCRYPTION_METHOD='rot13' must be gpg or age", settings.Refused().Message);
    }

    [Fact]
    public void Reading_needs_no_recipient()
    {
        var settings = Settings.OfEnvironment(("BACKUP_ENCRYPTION_ENABLED", "true"));

        EncryptionConfiguration.ReadForDecryption(settings);

        settings.ThrowIfInvalid();
    }

    [Theory]
    [InlineData(null, null, CompressionMethod.Zstd, null)]
    [InlineData("zstd", "19", CompressionMethod.Zstd, 19)]
    [InlineData("gzip", null, CompressionMethod.Gzip, null)]
    [InlineData("gzip", "9", CompressionMethod.Gzip, 9)]
    [InlineData("NONE", null, CompressionMethod.None, null)]
    public void Compression_has_a_method_and_a_level(string? method, string? level, CompressionMethod expected, int? expectedLevel)
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_COMPRESSION", method ?? string.Empty), ("BACKUP_COMPRESSION_LEVEL", level ?? string.Empty));

        var compression = RunConfiguration.ReadCompression(settings);

        settings.ThrowIfInvalid();
        Assert.Equal(expected, compression.Method);
        Assert.Equal(expectedLevel, compression.Level);
    }

    [Theory]
    [InlineData("zstd", "0", "1 to 19")]
    [InlineData("zstd", "20", "1 to 19")]
    [InlineData("gzip", "10", "1 to 9")]
    public void A_level_that_its_method_does_not_have_is_refused(string method, string level, string bounds)
    {
        var settings = Settings.OfEnvironment(("BACKUP_COMPRESSION", method), ("BACKUP_COMPRESSION_LEVEL", level));

        RunConfiguration.ReadCompression(settings);

        Assert.EndsWith($"from {bounds}", settings.Refused().Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, null, 30)]
    [InlineData("7", null, 7)]
    [InlineData(null, "14", 14)]
    [InlineData("7", "14", 14)]
    [InlineData("nonsense", "14", 14)]
    public void BACKUP_RETENTION_DAYS_is_the_standard_tier_when_its_own_setting_is_absent(string? days, string? standard, int expected)
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_RETENTION_DAYS", days ?? string.Empty), ("BACKUP_RETENTION_STANDARD_DAYS", standard ?? string.Empty));

        Assert.Equal(new RetentionDays(expected, 90, 365), RetentionConfiguration.Read(settings, []).General);
        settings.ThrowIfInvalid();
    }

    [Theory]
    [InlineData("BACKUP_RETENTION_DAYS")]
    [InlineData("BACKUP_RETENTION_STANDARD_DAYS")]
    [InlineData("BACKUP_RETENTION_EXTENDED_DAYS")]
    [InlineData("BACKUP_RETENTION_ARCHIVE_DAYS")]
    public void Each_tier_has_its_days_and_zero_of_them_is_refused(string name)
    {
        var five = RetentionConfiguration.Read(Settings.OfEnvironment((name, "5")), []).General;
        Assert.Equal(5, name switch
        {
            "BACKUP_RETENTION_EXTENDED_DAYS" => five.Extended,
            "BACKUP_RETENTION_ARCHIVE_DAYS" => five.Archive,
            _ => five.Standard,
        });

        foreach (var value in (string[])["0", "-1", "36501", "a month"])
        {
            var settings = Settings.OfEnvironment((name, value));
            RetentionConfiguration.Read(settings, []);
            Assert.StartsWith($"{name}='{value}' must be a whole number from 1 to ", settings.Refused().Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Jobs_are_the_cores_at_most_four_unless_set()
    {
        Assert.Equal(Math.Min(Environment.ProcessorCount, 4), RunConfiguration.ReadJobs(Settings.OfEnvironment()));
        Assert.Equal(16, RunConfiguration.ReadJobs(Settings.OfEnvironment(("BACKUP_JOBS", "16"))));
    }
}
