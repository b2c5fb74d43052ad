using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Repository;

/// <summary>What becomes of a set, and why.</summary>
/// <param name="Set">The set.</param>
/// <param name="Expires">True when it is to be removed.</param>
/// <param name="Reason">In words, for people.</param>
/// <param name="IsNeeded">
/// True for a set that stays as the newest good one of its database, or as the one that recovery to the beginning of the window needs.
/// </param>
/// <param name="Damage">What is wrong with a set that would be such a one if it were good; else null.</param>
/// <param name="Problem">Why a set that is past its time could not be removed; else null.</param>
public sealed record RetentionDecision(
    CatalogueEntry Set, bool Expires, string Reason, bool IsNeeded = false, BackupException? Damage = null, BackupException? Problem = null);

/// <summary>
/// Decides by recorded time and tier, for each cluster, kind and database on its own. The newest good set of each is never
/// removed, nor is any damaged one that is newer; nor a pinned set, nor one whose manifest can't be read. Of base backups the newest
/// good one from before the last days of tier standard stays too: recovery to the first moments of those days begins with it.
///
/// No number of new sets pushes out an old one: what a set's tier keeps it for depends on its own start and the settings
/// of the day alone. All that a new set takes over from an older one is to be the newest good one, which matters only
/// when the older one's time is over; and only when the new one was read back and is as it was written.
/// </summary>
public static class RetentionPolicy
{
    /// <summary>A decision for every set of the catalogue.</summary>
    /// <param name="catalogue">All sets.</param>
    /// <param name="days">How long each tier is kept.</param>
    /// <param name="now">The time.</param>
    /// <param name="checks">Sets that were read back, by id, and what was found. Others are good when they are complete.</param>
    /// <param name="lacking">Base backups without the log that makes them consistent, by id, and what is wrong with that.</param>
    public static IReadOnlyList<RetentionDecision> Decide(
        Catalogue catalogue,
        RetentionDays days,
        DateTimeOffset now,
        IReadOnlyDictionary<string, VerificationResult> checks,
        IReadOnlyDictionary<string, BackupException>? lacking = null)
    {
        var decisions = new Dictionary<string, RetentionDecision>();
        var windowStart = now - TimeSpan.FromDays(days.Standard);
        foreach (var group in catalogue.Sets.Where(static s => s.Manifest is not null).GroupBy(GroupOf))
        {
            var sets = group.OrderByDescending(static s => s.Manifest!.Started).ThenByDescending(static s => s.Id, StringComparer.Ordinal);
            var needsGood = group.Any(s => ExpiryOf(s, days) <= now);
            var (hasNewest, hasAnchor) = (false, group.Key.Kind != SetKind.Physical);
            foreach (var set in sets)
            {
                var isAnchor = !hasAnchor && set.Manifest!.Stopped < windowStart;
                // A set from the future does not stand for the newest: its time is wrong.
                var counts = (!hasNewest || isAnchor) && needsGood && set.Manifest!.Started <= now;
                var damage = counts ? DamageOf(set, checks, lacking) : null;
                var isNeeded = counts && damage is null;
                var need = hasNewest ? $"recovery to the last {days.Standard} days begins with it" : Newest(set, checks);
                decisions[set.Id] = Decide(set, days, now, isNeeded ? need : null, damage);
                hasNewest |= isNeeded;
                hasAnchor |= isNeeded && isAnchor;
            }
        }

        return catalogue.Sets
            .Select(s => decisions.GetValueOrDefault(s.Id)
                ?? new RetentionDecision(s, false, "its manifest can't be read") { Problem = IsUnread(s.Problem!) ? s.Problem : null }).ToList();
    }

    /// <summary>
    /// The sets among which one newest good one is kept. Base backups have no database, so that theirs are all of a cluster.
    /// </summary>
    public static (string? System, SetKind Kind, string Database) GroupOf(CatalogueEntry set) =>
        (set.Manifest!.SystemIdentifier, set.Manifest.Kind, set.Manifest.Database);

    private static RetentionDecision Decide(
        CatalogueEntry set,
        RetentionDays days,
        DateTimeOffset now,
        string? need,
        BackupException? damage)
    {
        var manifest = set.Manifest!;
        var expiry = ExpiryOf(set, days);
        var tier = manifest.Tier.Word();
        var (expires, reason) = (set, expiry) switch
        {
            ({ Pinned: true }, _) => (false, "pinned"),
            _ when expiry > now => (false, $"tier {tier} until {expiry:yyyy-MM-dd}"),
            _ when damage is not null => (false, $"no good set of {Subject(manifest)} stands in its place"),
            _ when need is not null => (false, need),
            _ => (true, $"tier {tier} ended {expiry:yyyy-MM-dd}"),
        };
        return new RetentionDecision(set, expires, damage is null ? reason : $"{(IsUnread(damage) ? "can't be read" : "damaged")}; {reason}", need is not null, damage);
    }

    private static string Newest(CatalogueEntry set, IReadOnlyDictionary<string, VerificationResult> checks) =>
        $"the newest {(checks.ContainsKey(set.Id) ? "good" : "complete")} set of {Subject(set.Manifest!)}";

    private static string Subject(Manifest manifest) => manifest.Kind == SetKind.Physical ? "the cluster" : $"\"{manifest.Database}\"";

    private static DateTimeOffset ExpiryOf(CatalogueEntry set, RetentionDays days) =>
        days.ExpiryOf(set.Manifest!.Tier, set.Manifest.Started);

    // A store that did not answer tells nothing of what it holds.
    private static bool IsUnread(BackupException problem) => problem.Kind != ErrorKind.Verification;

    private static BackupException? DamageOf(
        CatalogueEntry set,
        IReadOnlyDictionary<string, VerificationResult> checks,
        IReadOnlyDictionary<string, BackupException>? lacking)
    {
        var problems = checks.TryGetValue(set.Id, out var check)
            ? check.Problems
            : set.DamagedObjects.Select(static key => $"object {key} is missing or has another size than recorded").ToList();
        if (set.Manifest!.Physical is { DamagedPages.Count: > 0 } physical)
        {
            problems = [.. problems, $"{physical.DamagedPages.Count} pages were damaged on the server when it was made"];
        }

        if (lacking?.GetValueOrDefault(set.Id) is { } lack)
        {
            problems = [.. problems, lack.Message];
        }

        if (problems.Count > 0 && check is not null && problems.Count == check.Findings.Count && check.Findings.All(IsUnread))
        {
            return new BackupException(
                check.Findings[0].Kind,
                $"whether set {set.Id} is good can't be told: {problems[0]}; it and older good ones are kept",
                check.Findings[0].Hint ?? "run this again when the store can be read");
        }

        var more = problems.Count > 1 ? $", and {problems.Count - 1} more" : string.Empty;
        return problems.Count == 0 ? null : new BackupException(
            ErrorKind.Verification,
            $"set {set.Id} is not good: {problems[0]}{more}; it and older good ones are kept",
            $"shbackup backup verify {set.Id} says what is wrong; fetch another copy of it, or remove sets/{set.Id} when it is of no use");
    }
}
