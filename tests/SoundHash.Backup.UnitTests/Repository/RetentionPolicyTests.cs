using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>What expires: by recorded time and tier, and never the last good set.</summary>
public sealed class RetentionPolicyTests
{
    private static readonly RetentionDays Days = new(30, 90, 365);
    private static readonly DateTimeOffset Now = TestSets.Noon;
    private static readonly Dictionary<string, VerificationResult> Unchecked = [];

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
        Assert.Equal(
            (true, $"tier {tier.ToString().ToLowerInvariant()} ended 2026-11-22"),
            (decisions["over"].Expires, decisions["over"].Reason));
    }

    [Fact]
    public void Settings_of_today_decide_and_not_those_of_the_day_it_was_made()
    {
        var old = Entry("old", 10) with { Manifest = Manifest("old", 10) with { Expires = Now.AddYears(10) } };

        Assert.True(
            RetentionPolicy.Decide(new Catalogue([Entry("newest", 0), old], []), new RetentionDays(7, 90, 365), Now, Unchecked)[1].Expires);
    }

    [Fact]
    public void The_newest_good_set_is_kept_however_old()
    {
        var decisions = Decide(Entry("newest", 400), Entry("older", 500));

        Assert.Equal((false, "the newest complete set of \"soundhash\""), (decisions["newest"].Expires, decisions["newest"].Reason));
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

        var decisions = Decide(cut, damaged, Entry("good", 400), Entry("older", 410));

        Assert.Equal(["older"], decisions.Values.Where(static d => d.Expires).Select(static d => d.Set.Id));
        Assert.Equal(["cut", "damaged"], decisions.Values.Where(static d => d.Damage is not null).Select(static d => d.Set.Id));
        Assert.Equal("damaged; no good set of \"soundhash\" stands in its place", decisions["cut"].Reason);
    }

    [Fact]
    public void A_set_that_was_read_back_and_is_not_as_it_was_written_does_not_take_the_place_of_the_newest_good_one()
    {
        CatalogueEntry[] sets = [Entry("rotten", 0), Entry("good", 400), Entry("older", 410)];
        var checks = new Dictionary<string, VerificationResult>
        {
            ["rotten"] = new(
                "rotten",
                3,
                [new BackupException(ErrorKind.Verification, "first"), new BackupException(ErrorKind.Storage, "second")]),
            ["good"] = new("good", 3, []),
        };

        var decisions = RetentionPolicy.Decide(new Catalogue(sets, []), Days, Now, checks);

        Assert.Equal([false, false, true], decisions.Select(static d => d.Expires));
        Assert.Equal("the newest good set of \"soundhash\"", decisions[1].Reason);
        Assert.Equal("set rotten is not good: first, and 1 more; it and older good ones are kept", decisions[0].Damage!.Message);
        Assert.StartsWith("shbackup backup verify rotten ", decisions[0].Damage!.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_database_without_any_good_set_nothing_expires()
    {
        CatalogueEntry[] sets = [Entry("a", 400), Entry("b", 410), Entry("c", 420)];
        var checks = sets.ToDictionary(
            static s => s.Id,
            static s => new VerificationResult(s.Id, 3, [new BackupException(ErrorKind.Verification, "bad")]));

        var decisions = RetentionPolicy.Decide(new Catalogue(sets, []), Days, Now, checks);

        Assert.All(decisions, static d => Assert.True(d is { Expires: false, Damage: not null, IsNeeded: false }));
    }

    [Fact]
    public void Damage_is_nobody_s_business_where_no_set_is_over_its_time()
    {
        var damaged = Entry("damaged", 1) with { Stored = new Dictionary<string, long>() };

        Assert.All(Decide(damaged, Entry("good", 2)).Values, static d => Assert.Null(d.Damage));
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
        var broken = new CatalogueEntry(
            "broken",
            null,
            new BackupException(ErrorKind.Verification, "cut"),
            false,
            new Dictionary<string, long>());

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
    public void A_flood_of_new_sets_expires_no_set_before_its_time()
    {
        var old = ((Tier Tier, int Days)[])[(Tier.Standard, 30), (Tier.Extended, 90), (Tier.Archive, 365)];
        var last = old.Select(static t => Entry($"last day {t.Tier}", t.Days) with
        {
            Manifest = Manifest($"last day {t.Tier}", t.Days).With(t.Tier, TimeSpan.FromSeconds(1)),
        });
        var flood = Enumerable.Range(0, 500).Select(static n => Entry($"flood {n}", 0));

        Assert.DoesNotContain(Decide([.. flood, .. last]).Values, static d => d.Expires);
    }

    // Guards against this: with a base backup a month, the newest one was younger than the window, and most of its moments were lost.
    [Fact]
    public void The_base_backup_that_recovery_to_the_beginning_of_the_window_needs_is_kept_and_older_ones_are_not()
    {
        var decisions = Decide(Base("new", 2), Base("anchor", 32), Base("damaged", 31) with { Stored = new Dictionary<string, long>() }, Base("older", 62));

        Assert.Equal(
            [("new", false), ("anchor", false), ("damaged", false), ("older", true)], decisions.Select(static d => (d.Key, d.Value.Expires)));
        Assert.Equal("recovery to the last 30 days begins with it", decisions["anchor"].Reason);
        Assert.True(decisions["anchor"].IsNeeded);
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

            var decisions = RetentionPolicy.Decide(new Catalogue(sets, []), days, Now, Unchecked);

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
                Assert.DoesNotContain(expired, s => RetentionPolicy.GroupOf(s) == group.Key && s.Manifest!.Started > newest);
                var anchor = group.Key.Kind != SetKind.Physical ? null : group.Where(s => s.Manifest!.Stopped < Now.AddDays(-days.Standard))
                    .OrderByDescending(static s => s.Manifest!.Started).ThenByDescending(static s => s.Id, StringComparer.Ordinal).FirstOrDefault();
                Assert.True(anchor is null || !expired.Contains(anchor));
                // And nothing that is whole is kept without a reason.
                Assert.All(group.Where(s => s.Manifest!.Started < newest && !s.Pinned && s != anchor), s =>
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

    private static CatalogueEntry Base(string id, int daysOld) =>
        Entry(id, daysOld) with { Manifest = Manifest(id, daysOld) with { Kind = SetKind.Physical, Database = string.Empty } };

    private static Dictionary<string, RetentionDecision> Decide(params CatalogueEntry[] sets) =>
        RetentionPolicy.Decide(new Catalogue(sets, []), Days, Now, Unchecked).ToDictionary(static d => d.Set.Id);
}

internal static class ManifestExtensions
{
    public static Manifest With(this Manifest manifest, Tier tier, TimeSpan later) =>
        manifest with { Tier = tier, Started = manifest.Started + later };
}
