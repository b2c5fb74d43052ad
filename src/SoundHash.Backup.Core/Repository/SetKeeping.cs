using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>How a set is kept: what each store is told of its objects.</summary>
/// <param name="Kind">The kind of set.</param>
/// <param name="Tier">Its tier.</param>
/// <param name="Started">When it was started, by the database's clock.</param>
/// <param name="Retention">How long each store keeps it.</param>
public sealed record SetKeeping(SetKind Kind, Tier Tier, DateTimeOffset Started, StoreRetention Retention)
{
    /// <summary>That of a set that exists.</summary>
    public static SetKeeping Of(Manifest manifest, StoreRetention retention) => new(manifest.Kind, manifest.Tier, manifest.Started, retention);

    /// <summary>Of an object that is written. It is not locked before its set exists: what a failed run leaves can be removed.</summary>
    public ObjectAttributes Attributes => new(Tier.Word(), Kind.Word());

    /// <summary>Of an object of a set that exists in a store, or is about to. In whole seconds, as stores keep it: to ask again changes nothing.</summary>
    public ObjectAttributes LockedIn(string store)
    {
        var until = Retention.Of(store).ExpiryOf(Tier, Started).ToUniversalTime();
        return Attributes with { RetainUntil = until.AddTicks(-(until.Ticks % TimeSpan.TicksPerSecond)) };
    }
}
