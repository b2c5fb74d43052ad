namespace SoundHash.Backup.Repository;

/// <summary>How long each store keeps the sets of each tier.</summary>
/// <param name="General">Of stores that have no time of their own.</param>
/// <param name="Own">By the store's name.</param>
public sealed record StoreRetention(RetentionDays General, IReadOnlyDictionary<string, RetentionDays> Own)
{
    /// <summary>That of a store.</summary>
    public RetentionDays Of(string store) => Own.GetValueOrDefault(store, General);

    /// <summary>When the last copy of a set expires.</summary>
    /// <param name="stores">The stores that have one; where none is named, the general days count.</param>
    /// <param name="tier">The set's tier.</param>
    /// <param name="started">When the set was started.</param>
    public DateTimeOffset LastExpiryOf(IEnumerable<string> stores, Tier tier, DateTimeOffset started) =>
        stores.Select(Of).DefaultIfEmpty(General).Max(d => d.ExpiryOf(tier, started));
}
