using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Configuration;

/// <summary>Which stores a backup goes to, and which a verb reads.</summary>
public sealed class StoreConfigurationTests
{
    [Theory]
    [InlineData("false", "local")]
    [InlineData("true", "local s3")]
    public void BACKUP_S3_ENABLED_alone_means_that_backups_go_there(string enabled, string stores)
    {
        var settings = Settings.OfEnvironment(("BACKUP_S3_ENABLED", enabled), ("BACKUP_S3_BUCKET", "bucket"));

        var read = RepositoryConfiguration.ReadForBackup(settings, StoreChoice.Enabled);

        settings.ThrowIfInvalid();
        Assert.Equal(stores, string.Join(' ', read.Stores.Select(static s => s.Name)));
        Assert.Equal(read.Stores.Count, read.RequiredCopies);
    }

    [Fact]
    public void The_settings_of_a_bucket_are_read()
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_S3_ENABLED", "true"), ("BACKUP_S3_BUCKET", "bucket"), ("BACKUP_S3_REGION", "eu-central-1"), ("BACKUP_S3_ENDPOINT", "https://s3.example.org"),
            ("BACKUP_S3_PROFILE", "backup"), ("BACKUP_S3_KMS_KEY", "key"), ("BACKUP_CLUSTER", "main"));

        var s3 = Assert.IsType<S3StoreSettings>(RepositoryConfiguration.Read(settings).Stores[1]);

        settings.ThrowIfInvalid();
        Assert.Equal(("bucket", "soundhash-backups/main/"), (s3.Bucket, s3.Prefix));
        Assert.Equal(("eu-central-1", "https://s3.example.org/", "backup", "key"), (s3.Region, s3.Endpoint?.ToString(), s3.Profile, s3.KmsKey));
    }

    [Fact]
    public void Further_stores_have_names_of_their_own_and_local_ones_come_first()
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_STORE_FAR_AWAY_TYPE", "s3"), ("BACKUP_STORE_FAR_AWAY_BUCKET", "b"),
            ("BACKUP_STORE_SECOND_DISK_TYPE", "local"), ("BACKUP_STORE_SECOND_DISK_DIR", "/mnt/second"), ("BACKUP_DIR", "/backups"));

        var stores = RepositoryConfiguration.Read(settings).Stores;

        settings.ThrowIfInvalid();
        Assert.Empty(settings.UnknownNames);
        Assert.Equal(["/backups", "/mnt/second", "s3://b/"], stores.Select(static s => s.Place));
        Assert.Equal(["local", "second-disk", "far-away"], stores.Select(static s => s.Name));
    }

    [Theory]
    [InlineData("BACKUP_S3_ENABLED=true", "BACKUP_S3_BUCKET is not set")]
    [InlineData("BACKUP_S3_ENABLED=true BACKUP_S3_BUCKET=b BACKUP_S3_ENDPOINT=ftp://x", "BACKUP_S3_ENDPOINT='ftp://x' must be the address")]
    [InlineData("BACKUP_S3_ENABLED=true BACKUP_S3_BUCKET=b BACKUP_S3_ENDPOINT=https://me:secret@x", "BACKUP_S3_ENDPOINT='(hidden)' must be the address")]
    [InlineData("BACKUP_S3_ENABLED=true BACKUP_S3_BUCKET=b BACKUP_S3_PREFIX=a//b", "BACKUP_S3_PREFIX='a//b' may hold")]
    [InlineData("BACKUP_STORE_X_DIR=/x", "BACKUP_STORE_X_TYPE is not set")]
    [InlineData("BACKUP_STORE_X_TYPE=local", "BACKUP_STORE_X_DIR is not set")]
    [InlineData("BACKUP_STORE_X_TYPE=s3", "BACKUP_STORE_X_BUCKET is not set")]
    [InlineData("BACKUP_STORE_X_TYPE=tape", "BACKUP_STORE_X_TYPE='tape' must be local or s3 or gcs")]
    [InlineData("BACKUP_DIR=/x BACKUP_STORE_X_TYPE=local BACKUP_STORE_X_DIR=/x", "is the place of stores local and x")]
    [InlineData("BACKUP_LOCAL_ENABLED=false", "BACKUP_LOCAL_ENABLED='false' leaves no store")]
    [InlineData("BACKUP_REQUIRED_COPIES=2", "BACKUP_REQUIRED_COPIES='2' can't be met")]
    [InlineData("BACKUP_REQUIRED_COPIES=0", "BACKUP_REQUIRED_COPIES='0' must be a whole number")]
    [InlineData("BACKUP_GCS_ENABLED=true", "BACKUP_GCS_BUCKET is not set")]
    public void What_is_wrong_with_a_store_is_told_by_its_setting(string lines, string says)
    {
        var settings = Settings.OfEnvironment(
            lines.Split(' ').Select(static l => (l.Split('=', 2)[0], l.Split('=', 2)[1])).ToArray());

        RepositoryConfiguration.ReadForBackup(settings, StoreChoice.Enabled);

        var message = settings.Refused().Message;
        Assert.Contains(says, message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("BACKUP_S3_ENABLED=false", false)]
    [InlineData("BACKUP_STORE_X_TYPE=local BACKUP_STORE_X_DIR=/x", false)]
    [InlineData("BACKUP_S3_ENABLED=true BACKUP_S3_BUCKET=b", true)]
    [InlineData("BACKUP_LOCAL_ENABLED=false BACKUP_S3_ENABLED=true BACKUP_S3_BUCKET=b", false)]
    [InlineData("BACKUP_LOCAL_ENABLED=false BACKUP_S3_ENABLED=true BACKUP_S3_BUCKET=b BACKUP_S3_REGION=eu-west-1 BACKUP_STORE_X_TYPE=s3 BACKUP_STORE_X_BUCKET=c BACKUP_STORE_X_REGION=us-east-1", true)]
    [InlineData("BACKUP_LOCAL_ENABLED=false BACKUP_S3_ENABLED=true BACKUP_S3_BUCKET=b BACKUP_S3_REGION=eu-west-1 BACKUP_STORE_X_TYPE=s3 BACKUP_STORE_X_BUCKET=c BACKUP_STORE_X_REGION=eu-west-1", false)]
    public void BACKUP_CROSS_REGION_ENABLED_wants_two_stores_in_different_places(string lines, bool isEnough)
    {
        var variables = lines.Split(' ').Select(static l => (l.Split('=', 2)[0], l.Split('=', 2)[1])).ToArray();
        var on = Settings.OfEnvironment([.. variables, ("BACKUP_CROSS_REGION_ENABLED", "true")]);
        RepositoryConfiguration.ReadForBackup(on, StoreChoice.Enabled);
        var off = Settings.OfEnvironment([.. variables, ("BACKUP_CROSS_REGION_ENABLED", "false")]);
        RepositoryConfiguration.ReadForBackup(off, StoreChoice.Enabled);

        off.ThrowIfInvalid();
        if (isEnough)
        {
            on.ThrowIfInvalid();
        }
        else
        {
            Assert.StartsWith("BACKUP_CROSS_REGION_ENABLED='true' needs two stores", on.Refused().Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Stores_can_be_named_in_place_of_the_enabled_ones_and_what_is_wrong_with_others_stops_nothing()
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_S3_ENABLED", "true"), ("BACKUP_STORE_DISK_TYPE", "local"), ("BACKUP_STORE_DISK_DIR", "/disk"));

        Assert.Equal(["disk"], RepositoryConfiguration.ReadForBackup(settings, new StoreChoice(["disk"])).Stores.Select(static s => s.Name));
        settings.ThrowIfInvalid();

        RepositoryConfiguration.Read(settings, new StoreChoice(["tape"]));
        Assert.Contains("there is no store 'tape': there are local, s3, gcs, disk", settings.Refused(ErrorKind.Usage).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_can_add_S3_that_is_not_enabled()
    {
        var settings = Settings.OfEnvironment(("BACKUP_S3_BUCKET", "b"));

        Assert.Equal(["local", "s3"], RepositoryConfiguration.ReadForBackup(settings, new StoreChoice([], S3: true)).Stores.Select(static s => s.Name));
        settings.ThrowIfInvalid();
    }
}
