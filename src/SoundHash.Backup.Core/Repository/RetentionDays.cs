namespace SoundHash.Backup.Repository;

/// <summary>How long the sets of each tier are kept, in days.</summary>
/// <param name="Standard">Days of tier standard.</param>
/// <param name="Extended">Days of tier extended.</param>
/// <param name="Archive">Days of tier archive.</param>
public sealed record RetentionDays(int Standard, int Extended, int Archive)
{
    /// <summary>When a set expires; at the end of time where that would be after it, since a manifest may claim any time.</summary>
    public DateTimeOffset ExpiryOf(Tier tier, DateTimeOffset started)
    {
        var kept = TimeSpan.FromDays(tier switch
        {
            Tier.Extended => Extended,
            Tier.Archive => Archive,
            _ => Standard,
        });
        return started < DateTimeOffset.MaxValue - kept ? started + kept : DateTimeOffset.MaxValue;
    }
}
