using SoundHash.Backup.Configuration;

namespace SoundHash.Backup.UnitTests.Configuration;

/// <summary>Secrets can come from a file, and are never shown.</summary>
public sealed class SecretSettingTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("s3cret", "s3cret")]
    [InlineData("s3cret\n", "s3cret")]
    [InlineData("s3cret\r\n", "s3cret")]
    [InlineData(" s3 cret \n", " s3 cret ")]
    public void A_secret_is_read_from_the_file_that_its_FILE_setting_names(string content, string secret)
    {
        var path = _folder.Write("password", content);

        Assert.Equal(secret, Settings.OfEnvironment(("DATABASE_PASSWORD_FILE", path)).Text("DATABASE_PASSWORD"));
        var settings = Settings.OfEnvironment(("DATABASE_USER", "u"), ("DATABASE_PASSWORD_FILE", path));
        Assert.Equal(secret, DatabaseConfiguration.Read(settings).Password);
    }

    [Fact]
    public void The_file_of_a_secret_is_relative_to_the_env_file()
    {
        _folder.Write("etc/password", "s3cret\n");
        var env = _folder.Write("etc/.env", "DATABASE_PASSWORD_FILE=password\n");

        var settings = Settings.OfFile(env);

        Assert.Equal("s3cret", settings.Text("DATABASE_PASSWORD"));
        Assert.Empty(settings.UnknownNames);
    }

    [Fact]
    public void DATABASE_URL_may_stand_in_a_file_too()
    {
        var path = _folder.Write("url", "postgresql://alice:s3cret@db:5433/music\n");

        var connection = DatabaseConfiguration.Read(Settings.OfEnvironment(("DATABASE_URL_FILE", path)));

        Assert.Equal(new SoundHash.Backup.Postgres.ConnectionSettings("db", 5433, "music", "alice") { Password = "s3cret" }, connection);
    }

    [Fact]
    public void A_file_that_can_not_be_read_is_an_error_and_no_empty_password()
    {
        var settings = Settings.OfEnvironment(("DATABASE_USER", "u"), ("DATABASE_PASSWORD_FILE", _folder["missing"]));

        DatabaseConfiguration.Read(settings);

        Assert.StartsWith(
            $"DATABASE_PASSWORD_FILE='{_folder["missing"]}' can't be read", settings.Refused().Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_secrets_can_come_from_a_file()
    {
        var settings = Settings.OfEnvironment(("BACKUP_CLUSTER_FILE", _folder.Write("cluster", "main")));

        Assert.Null(settings.Text("BACKUP_CLUSTER"));
        Assert.Equal(["BACKUP_CLUSTER_FILE"], settings.UnknownNames);
    }

    [Fact]
    public void Errors_never_show_a_secret()
    {
        var settings = Settings.OfEnvironment(
            ("DATABASE_URL", "mysql://alice:s3cret@db/music"), ("DATABASE_PASSWORD", "s3cret"), ("DATABASE_PORT", "s3"));
        DatabaseConfiguration.Read(settings);
        settings.Problem("DATABASE_PASSWORD", "s3cret", "is too short");

        var e = settings.Refused();

        Assert.Contains("DATABASE_URL=(hidden)", e.Message, StringComparison.Ordinal);
        Assert.Contains("DATABASE_PASSWORD=(hidden)", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_contradiction_between_two_passwords_shows_neither()
    {
        var settings = Settings.OfEnvironment(("DATABASE_URL", "postgresql://alice:s3cret@db/music"), ("DATABASE_PASSWORD", "0ther"));

        DatabaseConfiguration.Read(settings);

        var e = settings.Refused();
        Assert.Equal("DATABASE_PASSWORD=(hidden) contradicts DATABASE_URL; set one of them", e.Message);
    }
}
