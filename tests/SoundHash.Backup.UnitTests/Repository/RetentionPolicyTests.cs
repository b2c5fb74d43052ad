using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>What expires: by recorded time and tier, and never the last good set.</summary>
public sealed class RetentionPolicyTests
{
    private static readonly RetentionDays Days = new(30, 90, 365);
    private static readonly DateTimeOffset Now = TestSets.Noon;

    [Theory]
    [InlineData(Tier.Standard, 30)]
    [InlineData(Tier.Extended, 90)]
    [InlineData(Tier.Archive, 365)]
    public void A_set_is_kept_for_the_days_of_its_tier_and_no_longer(Tier tier, int days)
    {
        var newest = Entry("newest", 0);
        var kept = Entry("kept", days) with { Manifest = Manifest("kept", days).With(tier, TimeSpan.FromSeconds(1)) };
        var over = Entry("over", days) with { Manifest = Manifest("over", days).With(tier, TimeSpan.Zero) };

        var decisions = Decide(newest, kept, over);

        Assert.Equal((false, "tier standard until 2026-12-22"), (decisions["newest"].Expires, decisions["newest"].Reason));
        Assert.False(decisions["kept"].Expires);
        Assert.Equal((true, $"tier {tier.ToString().ToLowerInvariant()} ended 2026-11-22"), (decisions["over"].Expires, decisions["over"].Reason));
    }

    [Fact]
    public void Settings_of_today_decide_and_not_those_of_the_day_it_was_made()
    {
        var old = Entry("old", 10) with { Manifest = Manifest("old", 10) with { Expires = Now.AddYears(10) } };

        Assert.True(RetentionPolicy.Decide(new Catalogue([Entry("newest", 0), old], []), new RetentionDays(7, 90, 365), Now)[1].Expires);
    }

    [Fact]
    public void The_newest_good_set_is_kept_however_old()
    {
        var decisions = Decide(Entry("newest", 400), Entry("older", 500));

        Assert.Equal((false, "the newest good set of \"soundhash\""), (decisions["newest"].Expires, decisions["newest"].Reason));
        Assert.True(decisions["older"].Expires);
    }

    [Fact]
    public void The_newest_set_is_told_by_its_recorded_start_and_not_by_its_name()
    {
        var decisions = Decide(Entry("weekly_backup_20991231_000000", 500), Entry("a_backup_20000101_000000", 400));

        Assert.False(decisions["a_backup_20000101_000000"].Expires);
        Assert.True(decisions["weekly_backup_20991231_000000"].Expires);
    }

    [Fact]
    public void A_damaged_set_does_not_take_the_place_of_the_newest_good_one()
    {
        var damaged = Entry("damaged", 390) with { Stored = new Dictionary<string, long>() };
        var cut = Entry("cut", 380) with { Stored = new Dictionary<string, long> { ["database.dump"] = 2 } };

        Assert.False(Decide(cut, damaged, Entry("good", 400))["good"].Expires);
    }

    [Fact]
    public void A_set_from_the_future_does_not_take_the_place_of_the_newest_good_one()
    {
        Assert.False(Decide(Entry("future", -1), Entry("good", 400))["good"].Expires);
    }

    [Fact]
    public void A_pinned_set_is_kept()
    {
        var decisions = Decide(Entry("newest", 0), Entry("pinned", 1000) with { Pinned = true });

        Assert.Equal((false, "pinned"), (decisions["pinned"].Expires, decisions["pinned"].Reason));
    }

    [Fact]
    public void A_set_whose_manifest_can_not_be_read_is_kept()
    {
        var broken = new CatalogueEntry("broken", null, new BackupException(ErrorKind.Verification, "cut"), false, new Dictionary<string, long>());

        var decisions = Decide(Entry("newest", 0), broken);

        Assert.Equal((false, "its manifest can't be read"), (decisions["broken"].Expires, decisions["broken"].Reason));
    }

    [Fact]
    public void Each_database_and_each_cluster_keeps_a_newest_set_of_its_own()
    {
        var decisions = Decide(
            Entry("a", 400),
            Entry("other database", 450) with { Manifest = Manifest("other database", 450) with { Database = "b" } },
            Entry("other cluster", 500) with { Manifest = Manifest("other cluster", 500) with { SystemIdentifier = "7" } },
            Entry("unknown cluster", 550) with { Manifest = Manifest("unknown cluster", 550) with { SystemIdentifier = null } },
            Entry("a older", 600));

        Assert.Equal(["a older"], decisions.Values.Where(static d => d.Expires).Select(static d => d.Set.Id));
    }

    [Fact]
    public void A_flood_of_new_sets_pushes_nothing_out()
    {
        var sets = Enumerable.Range(0, 2000).Select(static n => Entry($"flood {n}", 0)).Append(Entry("yesterday's", 1)).ToArray();

        Assert.DoesNotContain(Decide(sets).Values, static d => d.Expires);
    }

    [Theory]
    [InlineData("9999-12-31T23:59:59Z")]
    [InlineData("0001-01-01T00:00:00Z")]
    public void A_time_at_the_end_of_all_times_breaks_nothing(string time)
    {
        var started = DateTimeOffset.Parse(time, System.Globalization.CultureInfo.InvariantCulture);
        var odd = Entry("odd", 0) with { Manifest = Manifest("odd", 0) with { Started = started, Stopped = started } };

        var decisions = Decide(Entry("newest", 0), odd);

        Assert.Equal(started.Year == 1, decisions["odd"].Expires);
    }

    [Fact]
    public void Whatever_there_is_the_rules_hold()
    {
        var random = NewRandom();
        for (var round = 0; round < 500; round++)
        {
            var sets = Enumerable.Range(0, random.Next(1, 40)).Select(n => RandomEntry(random, n)).ToList();
            var days = new RetentionDays(random.Next(1, 40), random.Next(1, 100), random.Next(1, 400));

            var decisions = RetentionPolicy.Decide(new Catalogue(sets, []), days, Now);

            Assert.Equal(sets, decisions.Select(static d => d.Set));
            var expired = decisions.Where(static d => d.Expires).Select(static d => d.Set).ToList();
            Assert.All(expired, s =>
            {
                Assert.False(s.Pinned);
                Assert.NotNull(s.Manifest);
                Assert.True(days.ExpiryOf(s.Manifest.Tier, s.Manifest.Started) <= Now);
            });
            foreach (var group in sets.Where(static s => s.IsComplete && s.Manifest!.Started <= Now)
                .GroupBy(static s => (s.Manifest!.SystemIdentifier, s.Manifest.Kind, s.Manifest.Database)))
            {
                var newest = group.Max(static s => s.Manifest!.Started);
                Assert.Contains(group, s => s.Manifest!.Started == newest && !expired.Contains(s));
                // And nothing that is whole is kept without a reason.
                Assert.All(group.Where(s => s.Manifest!.Started < newest && !s.Pinned), s =>
                    Assert.Equal(days.ExpiryOf(s.Manifest!.Tier, s.Manifest.Started) <= Now, expired.Contains(s)));
            }
        }
    }

    private static CatalogueEntry RandomEntry(Random random, int number)
    {
        var id = $"set{random.Next(1000)}_{number}";
        var manifest = TestSets.Manifest(id, Now.AddDays(-random.Next(-5, 500)).AddMinutes(random.Next(1000)), $"db{random.Next(3)}") with
        {
            Tier = (Tier)random.Next(3),
            Kind = (SetKind)random.Next(2),
            SystemIdentifier = random.Next(4) switch { 0 => null, 1 => "1", _ => "2" },
        };
        var stored = new Dictionary<string, long>();
        if (random.Next(4) > 0)
        {
            stored["database.dump"] = random.Next(6) == 0 ? 2 : 3;
        }

        return random.Next(12) == 0
            ? new CatalogueEntry(id, null, new BackupException(ErrorKind.Verification, "cut"), random.Next(2) == 0, stored)
            : new CatalogueEntry(id, manifest, null, random.Next(8) == 0, stored);
    }

    private static Manifest Manifest(string id, int daysOld) => TestSets.Manifest(id, Now.AddDays(-daysOld));

    private static CatalogueEntry Entry(string id, int daysOld) =>
        new(id, Manifest(id, daysOld), null, false, new Dictionary<string, long> { ["database.dump"] = 3 });

    private static Dictionary<string, RetentionDecision> Decide(params CatalogueEntry[] sets) =>
        RetentionPolicy.Decide(new Catalogue(sets, []), Days, Now).ToDictionary(static d => d.Set.Id);
}

internal static class ManifestExtensions
{
    public static Manifest With(this Manifest manifest, Tier tier, TimeSpan later) =>
        manifest with { Tier = tier, Started = manifest.Started + later };
}
