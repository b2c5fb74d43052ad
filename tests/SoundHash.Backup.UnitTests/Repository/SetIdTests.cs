using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Names of sets.</summary>
public sealed class SetIdTests
{
    [Fact]
    public void An_id_is_name_and_start_in_UTC_and_a_counter_within_one_second()
    {
        var started = new DateTimeOffset(2026, 11, 22, 3, 4, 5, 999, TimeSpan.FromHours(2));

        Assert.Equal("soundhash_backup_20261122_010405", SetId.Make("soundhash_backup", started, 1));
        Assert.Equal("soundhash_backup_20261122_010405_2", SetId.Make("soundhash_backup", started, 2));
        Assert.Equal("soundhash_backup_20261122_010405_13", SetId.Make("soundhash_backup", started, 13));
    }

    [Theory]
    [InlineData("soundhash", "soundhash_backup")]
    [InlineData("My DB", "My_DB_backup")]
    [InlineData("größe", "gr__e_backup")]
    [InlineData("a/../b", "a_.._b_backup")]
    [InlineData("\"quoted\"", "_quoted__backup")]
    [InlineData("..", ".._backup")]
    public void The_default_name_of_any_database_is_a_safe_folder(string database, string name)
    {
        Assert.Equal(name, SetId.DefaultName(database));
        Assert.True(RepositoryLayout.InSet(
            SetId.Make(name, TestSets.Noon, 1),
            "x").Split('/').All(SoundHash.Backup.Storage.ObjectKey.IsValidSegment));
    }

    [Theory]
    [InlineData("weekly_backup")]
    [InlineData("a.b-C_9")]
    public void A_name_of_plain_characters_is_taken(string name)
    {
        Assert.Equal(name, SetId.CheckName(name));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData(".hidden")]
    [InlineData("../x")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("a\nb")]
    [InlineData("größe")]
    public void Any_other_name_is_wrong_usage(string name)
    {
        var e = Assert.Throws<BackupException>(() => SetId.CheckName(name));

        Assert.Equal(ErrorKind.Usage, e.Kind);
        Assert.NotNull(e.Hint);
    }

    [Fact]
    public void A_name_leaves_room_for_the_time()
    {
        Assert.Equal(150, SetId.CheckName(new string('a', 150)).Length);
        Assert.Throws<BackupException>(() => SetId.CheckName(new string('a', 151)));
    }

    [Theory]
    [InlineData("weekly_backup", Tier.Extended)]
    [InlineData("Weekly", Tier.Extended)]
    [InlineData("monthly_backup", Tier.Archive)]
    [InlineData("MONTHLY", Tier.Archive)]
    [InlineData("soundhash_backup", Tier.Standard)]
    [InlineData("my_weekly", Tier.Standard)]
    [InlineData("", Tier.Standard)]
    public void The_tier_is_told_by_how_a_name_begins(string name, Tier tier)
    {
        Assert.Equal(tier, SetId.TierOf(name));
    }
}
