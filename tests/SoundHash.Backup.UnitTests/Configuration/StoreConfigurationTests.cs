using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

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
    public void Class_and_lock_are_read_by_tier_where_something_is_written()
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_S3_ENABLED", "true"), ("BACKUP_S3_BUCKET", "b"), ("BACKUP_S3_STORAGE_CLASS", "standard_ia, archive=GLACIER_IR"),
            ("BACKUP_S3_OBJECT_LOCK", "Archive=compliance,extended=governance"), ("BACKUP_GCS_ENABLED", "true"), ("BACKUP_GCS_BUCKET", "b"),
            ("BACKUP_GCS_STORAGE_CLASS", "archive=ARCHIVE"), ("BACKUP_GCS_OBJECT_LOCK", "governance"), ("BACKUP_CLUSTER", "main"));

        var written = RepositoryConfiguration.ReadForWriting(settings).Stores;
        var read = RepositoryConfiguration.Read(settings).Stores;

        settings.ThrowIfInvalid();
        var (s3, gcs) = (Assert.IsType<S3StoreSettings>(written[1]), Assert.IsType<GcsStoreSettings>(written[2]));
        Assert.Equal(("STANDARD_IA", "GLACIER_IR", 1), (s3.Keeping.StorageClass.General, s3.Keeping.StorageClass.Own["archive"], s3.Keeping.StorageClass.Own.Count));
        Assert.Equal((null, "compliance", "governance"), (s3.Keeping.Lock.General, s3.Keeping.Lock.Own["archive"], s3.Keeping.Lock.Own["extended"]));
        Assert.Equal((null, "ARCHIVE", "governance"), (gcs.Keeping.StorageClass.General, gcs.Keeping.StorageClass.Own["archive"], gcs.Keeping.Lock.General));
        Assert.Equal(("main", "main"), (s3.Cluster, gcs.Cluster));
        Assert.Same(BucketKeeping.AsItIs, Assert.IsType<S3StoreSettings>(read[1]).Keeping);
    }

    [Theory]
    [InlineData("BACKUP_S3_STORAGE_CLASS", "GLACIER", "before they are thawed")]
    [InlineData("BACKUP_S3_STORAGE_CLASS", "archive=deep_archive", "before they are thawed")]
    [InlineData("BACKUP_S3_STORAGE_CLASS", "STANDARD IA", "must be a storage class")]
    [InlineData("BACKUP_S3_STORAGE_CLASS", "monthly=STANDARD_IA", "names no tier: there are standard, extended, archive")]
    [InlineData("BACKUP_S3_STORAGE_CLASS", "STANDARD,STANDARD_IA", "has two values for all tiers")]
    [InlineData("BACKUP_S3_OBJECT_LOCK", "true", "must be none or governance or compliance")]
    [InlineData("BACKUP_S3_OBJECT_LOCK", "archive=compliance,archive=none", "has two values for tier archive")]
    [InlineData("BACKUP_GCS_STORAGE_CLASS", "STANDARD_IA", "must be STANDARD or NEARLINE")]
    [InlineData("BACKUP_GCS_OBJECT_LOCK", "locked", "must be none or governance or compliance")]
    public void A_class_or_lock_that_makes_no_sense_stops_who_writes_and_nobody_who_reads(string setting, string value, string says)
    {
        (string, string)[] all =
        [
            ("BACKUP_S3_ENABLED", "true"), ("BACKUP_S3_BUCKET", "b"), ("BACKUP_GCS_ENABLED", "true"), ("BACKUP_GCS_BUCKET", "b"), (setting, value),
        ];
        var writing = Settings.OfEnvironment(all);
        RepositoryConfiguration.ReadForWriting(writing);
        var reading = Settings.OfEnvironment(all);
        RepositoryConfiguration.Read(reading);

        Assert.Contains(says, writing.Refused().Message, StringComparison.Ordinal);
        reading.ThrowIfInvalid();
    }

    [Fact]
    public void Each_store_may_keep_sets_for_a_time_of_its_own()
    {
        var settings = Settings.OfEnvironment(
            ("BACKUP_S3_ENABLED", "true"), ("BACKUP_S3_BUCKET", "b"), ("BACKUP_S3_RETENTION_STANDARD_DAYS", "90"), ("BACKUP_RETENTION_DAYS", "7"),
            ("BACKUP_STORE_DISK_TYPE", "local"), ("BACKUP_STORE_DISK_DIR", "/disk"), ("BACKUP_STORE_DISK_RETENTION_ARCHIVE_DAYS", "700"));
        var stores = RepositoryConfiguration.Read(settings).Stores;

        var retention = RetentionConfiguration.Read(settings, stores);

        settings.ThrowIfInvalid();
        Assert.Empty(settings.UnknownNames);
        Assert.Equal(new RetentionDays(7, 90, 365), retention.Of("local"));
        Assert.Equal(new RetentionDays(90, 90, 365), retention.Of("s3"));
        Assert.Equal(new RetentionDays(7, 90, 700), retention.Of("disk"));
        Assert.Equal([7, 7, 90], stores.Select(s => RetentionConfiguration.ReadStandard(settings, s)));
        var start = TestSets.Noon;
        Assert.Equal(start.AddDays(90), retention.LastExpiryOf(["local", "s3"], Tier.Standard, start));
        Assert.Equal(start.AddDays(7), retention.LastExpiryOf([], Tier.Standard, start));
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
