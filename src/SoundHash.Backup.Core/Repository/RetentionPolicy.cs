using SoundHash.Backup.Configuration;

namespace SoundHash.Backup.Repository;

/// <summary>What becomes of a set, and why.</summary>
/// <param name="Set">The set.</param>
/// <param name="Expires">True when it is to be removed.</param>
/// <param name="Reason">In words, for people.</param>
public sealed record RetentionDecision(CatalogueEntry Set, bool Expires, string Reason);

/// <summary>
/// Decides by recorded time and tier, for each cluster, kind and database on its own. The newest complete set of each
/// is never removed, nor a pinned one, nor one whose manifest can't be read.
/// </summary>
public static class RetentionPolicy
{
    /// <summary>A decision for every set of the catalogue.</summary>
    public static IReadOnlyList<RetentionDecision> Decide(Catalogue catalogue, RetentionConfiguration days, DateTimeOffset now)
    {
        var protectedIds = catalogue.Sets
            .Where(s => s.IsComplete && s.Manifest!.Started <= now)
            .GroupBy(static s => (s.Manifest!.SystemIdentifier, s.Manifest.Kind, s.Manifest.Database))
            .Select(static g => g.MaxBy(static s => s.Manifest!.Started)!.Id)
            .ToHashSet();
        return catalogue.Sets.Select(s => Decide(s, protectedIds.Contains(s.Id), days, now)).ToList();
    }

    /// <summary>When a set expires by the settings of today.</summary>
    public static DateTimeOffset ExpiryOf(Tier tier, DateTimeOffset started, RetentionConfiguration days)
    {
        var kept = TimeSpan.FromDays(tier switch
        {
            Tier.Extended => days.Extended,
            Tier.Archive => days.Archive,
            _ => days.Standard,
        });
        // A manifest may claim any time.
        return started < DateTimeOffset.MaxValue - kept ? started + kept : DateTimeOffset.MaxValue;
    }

    private static RetentionDecision Decide(CatalogueEntry set, bool isNewest, RetentionConfiguration days, DateTimeOffset now)
    {
        if (set.Manifest is not { } manifest)
        {
            return new RetentionDecision(set, false, "its manifest can't be read");
        }

        var expiry = ExpiryOf(manifest.Tier, manifest.Started, days);
        return (set, expiry) switch
        {
            ({ Pinned: true }, _) => new RetentionDecision(set, false, "pinned"),
            _ when expiry > now => new RetentionDecision(set, false, $"tier {manifest.Tier.ToString().ToLowerInvariant()} until {expiry:yyyy-MM-dd}"),
            _ when isNewest => new RetentionDecision(set, false, $"the newest good set of \"{manifest.Database}\""),
            _ => new RetentionDecision(set, true, $"tier {manifest.Tier.ToString().ToLowerInvariant()} ended {expiry:yyyy-MM-dd}"),
        };
    }
}
