using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Configuration;

/// <summary>Where a value comes from, and how wrong ones are told.</summary>
public sealed class SettingsReaderTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_flag_comes_before_the_environment_before_the_file_before_the_default()
    {
        var file = EnvFile.Read(_folder.Write(".env", "BACKUP_JOBS=3\nBACKUP_COMPRESSION=none\nBACKUP_CLUSTER=from_file\n"));
        var settings = Settings.Of(
            [("BACKUP_JOBS", "1"), ("BACKUP_COMPRESSION", null)],
            [("BACKUP_JOBS", "2"), ("BACKUP_COMPRESSION", "gzip")],
            file);

        Assert.Equal("1", settings.Text("BACKUP_JOBS"));
        Assert.Equal("gzip", settings.Text("BACKUP_COMPRESSION"));
        Assert.Equal("from_file", settings.Text("BACKUP_CLUSTER"));
        Assert.Equal("gpg", settings.Text("BACKUP_ENCRYPTION_METHOD"));
        Assert.Null(settings.Text("BACKUP_GROUP"));
        Assert.Null(settings.Given("BACKUP_ENCRYPTION_METHOD"));
        Assert.True(settings.IsFlag("BACKUP_JOBS"));
        Assert.False(settings.IsFlag("BACKUP_COMPRESSION"));
        settings.ThrowIfInvalid();
    }

    [Fact]
    public void An_empty_value_is_none_and_leaves_the_next_place_its_say()
    {
        var file = EnvFile.Read(_folder.Write(".env", "BACKUP_JOBS=3\nBACKUP_COMPRESSION=\n"));
        var settings = Settings.Of([("BACKUP_JOBS", string.Empty)], [("BACKUP_JOBS", string.Empty)], file);

        Assert.Equal("3", settings.Text("BACKUP_JOBS"));
        Assert.Equal("zstd", settings.Text("BACKUP_COMPRESSION"));
    }

    [Fact]
    public void A_relative_path_starts_at_the_folder_of_the_file_that_it_stands_in()
    {
        var path = _folder.Write("etc/.env", "BACKUP_DIR=../backups\nBACKUP_DECRYPTION_IDENTITY_FILE=one.txt, /abs/two.txt\n");

        var settings = Settings.OfFile(path, ("BACKUP_STATE_DIR", "state"));

        Assert.Equal(_folder["backups"], settings.PathOf("BACKUP_DIR"));
        Assert.Equal([_folder["etc/one.txt"], "/abs/two.txt"], settings.PathList("BACKUP_DECRYPTION_IDENTITY_FILE"));
        Assert.Equal(Path.GetFullPath("state"), settings.PathOf("BACKUP_STATE_DIR"));
    }

    [Fact]
    public void A_path_of_the_environment_starts_at_the_working_directory_although_there_is_a_file()
    {
        var settings = Settings.OfFile(_folder.Write(".env", "BACKUP_DIR=here\n"), ("BACKUP_DIR", "there"));

        Assert.Equal(Path.GetFullPath("there"), settings.PathOf("BACKUP_DIR"));
        Assert.False(settings.ComesFromFile("BACKUP_DIR"));
    }

    [Fact]
    public void The_default_of_a_path_starts_at_the_folder_of_the_file_too_and_the_WAL_archive_is_in_the_repository()
    {
        var settings = Settings.OfFile(_folder.Write("etc/.env", "DATABASE_NAME=x\n"));
        var moved = Settings.OfFile(_folder.Write("moved/.env", "BACKUP_DIR=../store\nBACKUP_CLUSTER=main\n"));

        Assert.Equal(_folder["etc/backups"], settings.PathOf("BACKUP_DIR"));
        Assert.Equal(_folder["etc/backups/wal"], WalConfiguration.Read(settings).Places);
        Assert.Equal(_folder["store/wal/main"], WalConfiguration.Read(moved).Places);
    }

    [Fact]
    public void A_path_without_a_value_is_its_default_or_none()
    {
        var settings = Settings.OfEnvironment();

        Assert.Equal(Path.GetFullPath("./backups"), settings.PathOf("BACKUP_DIR"));
        Assert.Null(settings.PathOf("PG_BIN_DIR"));
    }

    [Theory]
    [InlineData("true", true)]
    [InlineData("TRUE", true)]
    [InlineData("yes", true)]
    [InlineData("on", true)]
    [InlineData("1", true)]
    [InlineData("false", false)]
    [InlineData("No", false)]
    [InlineData("off", false)]
    [InlineData("0", false)]
    [InlineData("", false)]
    public void A_flag_is_one_of_the_usual_words(string text, bool expected)
    {
        var settings = Settings.OfEnvironment(("BACKUP_ENCRYPTION_ENABLED", text));

        Assert.Equal(expected, settings.Flag("BACKUP_ENCRYPTION_ENABLED"));
        settings.ThrowIfInvalid();
    }

    [Theory]
    [InlineData("ture")]
    [InlineData("enabled")]
    [InlineData("2")]
    public void Any_other_word_is_an_error_and_not_simply_off(string text)
    {
        var settings = Settings.OfEnvironment(("BACKUP_ENCRYPTION_ENABLED", text));

        settings.Flag("BACKUP_ENCRYPTION_ENABLED");

        Assert.Equal($"BACKUP_ENCRYPTION_ENABLED='{text}' must be true or false", settings.Refused().Message);
    }

    [Theory]
    [InlineData("1", 1)]
    [InlineData("64", 64)]
    public void A_number_within_bounds_is_taken(string text, int expected)
    {
        Assert.Equal(expected, Settings.OfEnvironment(("BACKUP_JOBS", text)).Number("BACKUP_JOBS", 1, 64));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("65")]
    [InlineData("-1")]
    [InlineData("+2")]
    [InlineData("2.0")]
    [InlineData("1e1")]
    [InlineData("two")]
    [InlineData("99999999999")]
    public void Any_other_number_is_an_error_with_the_bounds(string text)
    {
        var settings = Settings.OfEnvironment(("BACKUP_JOBS", text));

        Assert.Null(settings.Number("BACKUP_JOBS", 1, 64));

        Assert.Equal($"BACKUP_JOBS='{text}' must be a whole number from 1 to 64", settings.Refused().Message);
    }

    [Theory]
    [InlineData("1", 1)]
    [InlineData("500000", 500_000)]
    [InlineData("8000000000", 8_000_000_000)]
    [InlineData("64K", 65_536)]
    [InlineData("64k", 65_536)]
    [InlineData("50M", 52_428_800)]
    [InlineData("2G", 2_147_483_648)]
    public void Bytes_may_have_a_unit(string text, long expected)
    {
        var settings = Settings.OfEnvironment(("BACKUP_RATE_LIMIT", text));

        Assert.Equal(expected, settings.Bytes("BACKUP_RATE_LIMIT"));
        settings.ThrowIfInvalid();
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-5")]
    [InlineData("K")]
    [InlineData("1.5M")]
    [InlineData("50MB")]
    [InlineData("50 M")]
    [InlineData("fast")]
    [InlineData("99999999999999999999")]
    [InlineData("9999999999G")]
    public void Any_other_size_is_an_error(string text)
    {
        var settings = Settings.OfEnvironment(("BACKUP_RATE_LIMIT", text));

        Assert.Null(settings.Bytes("BACKUP_RATE_LIMIT"));

        Assert.StartsWith($"BACKUP_RATE_LIMIT='{text}' must be bytes", settings.Refused().Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_choice_is_one_of_its_words_in_any_case()
    {
        Assert.Equal("gzip", Settings.OfEnvironment(("BACKUP_COMPRESSION", "GZIP")).Choice("BACKUP_COMPRESSION", "zstd", "gzip"));
        var settings = Settings.OfEnvironment(("BACKUP_COMPRESSION", "lz4"));

        Assert.Null(settings.Choice("BACKUP_COMPRESSION", "zstd", "gzip"));

        Assert.Equal("BACKUP_COMPRESSION='lz4' must be zstd or gzip", settings.Refused().Message);
    }

    [Fact]
    public void A_list_is_separated_by_commas_or_line_ends()
    {
        var settings = Settings.OfEnvironment(("BACKUP_ENCRYPTION_KEY", "age1abc, ssh-ed25519 AAAA me@host,\n recipients.txt ,,"));

        Assert.Equal(["age1abc", "ssh-ed25519 AAAA me@host", "recipients.txt"], settings.List("BACKUP_ENCRYPTION_KEY"));
        Assert.Empty(Settings.OfEnvironment().List("BACKUP_ENCRYPTION_KEY"));
    }

    [Fact]
    public void All_problems_come_at_once_with_where_to_correct_them()
    {
        var path = _folder.Write(".env", "BACKUP_JOBS=many\nBACKUP_RATE_LIMIT=fast\nBACKUP_COMPRESION=zstd\n");
        var settings = Settings.OfFile(path, ("BACKUP_ENCRYPTION_ENABLED", "maybe"));
        settings.Number("BACKUP_JOBS", 1, 64);
        settings.Bytes("BACKUP_RATE_LIMIT");
        settings.Flag("BACKUP_ENCRYPTION_ENABLED");
        settings.Text("BACKUP_COMPRESSION");

        var e = settings.Refused();

        Assert.All(
            ["BACKUP_JOBS='many'", "BACKUP_RATE_LIMIT='fast'", "BACKUP_ENCRYPTION_ENABLED='maybe'", "BACKUP_COMPRESION is unknown"],
            part => Assert.Contains(part, e.Message, StringComparison.Ordinal));
        Assert.Contains(path, e.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_setting_that_nobody_asks_for_can_not_stop_a_verb()
    {
        Settings.OfEnvironment(("BACKUP_JOBS", "many"), ("DATABASE_PORT", "x")).ThrowIfInvalid();
    }

    [Fact]
    public void A_problem_with_an_option_alone_is_wrong_usage_and_names_the_option_and_where_to_correct_it()
    {
        var flag = Settings.Of([("BACKUP_JOBS", "0")], [("BACKUP_JOBS", "4")], null);
        flag.Number("BACKUP_JOBS", 1, 64);
        Assert.Equal("--jobs '0' must be a whole number from 1 to 64", flag.Refused(ErrorKind.Usage).Message);
        Assert.Equal("correct the command line", flag.Refused(ErrorKind.Usage).Hint);

        var both = Settings.Of([("BACKUP_JOBS", "0")], [("BACKUP_RATE_LIMIT", "fast")], null);
        both.Number("BACKUP_JOBS", 1, 64);
        both.Bytes("BACKUP_RATE_LIMIT");
        Assert.StartsWith(
            "--jobs '0' must be a whole number from 1 to 64; BACKUP_RATE_LIMIT='fast' ", both.Refused().Message, StringComparison.Ordinal);
        Assert.Equal("correct the command line and the environment", both.Refused().Hint);

        var setting = Settings.Of([("BACKUP_JOBS", null)], [("BACKUP_JOBS", "0")], null);
        setting.Number("BACKUP_JOBS", 1, 64);
        Assert.Equal("BACKUP_JOBS='0' must be a whole number from 1 to 64", setting.Refused().Message);
        Assert.Equal("correct the environment", setting.Refused().Hint);
    }

    [Fact]
    public void What_is_missing_and_an_option_can_give_is_asked_for_by_both_names()
    {
        var encrypt = Settings.Of([("BACKUP_ENCRYPTION_ENABLED", "true"), ("BACKUP_ENCRYPTION_KEY", null)], [], null);

        EncryptionConfiguration.Read(encrypt);

        Assert.StartsWith(
            "--encryption_key or BACKUP_ENCRYPTION_KEY must name a recipient", encrypt.Refused().Message, StringComparison.Ordinal);
    }
}
