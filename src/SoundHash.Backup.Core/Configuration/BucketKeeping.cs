using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Configuration;

/// <summary>A setting with one value for all tiers, or with others for some: "STANDARD_IA", "archive=GLACIER_IR,STANDARD".</summary>
/// <param name="General">Of tiers without a value of their own, and of what belongs to no tier; null for none.</param>
/// <param name="Own">By the tier's word.</param>
public sealed record ByTier(string? General, IReadOnlyDictionary<string, string> Own)
{
    /// <summary>Of a setting that is not set.</summary>
    public static ByTier None { get; } = new(null, new Dictionary<string, string>());
}

/// <summary>How a bucket is to keep the objects that are written to it.</summary>
/// <param name="StorageClass">The store's own words, in capitals.</param>
/// <param name="Lock">none, governance or compliance.</param>
public sealed record BucketKeeping(ByTier StorageClass, ByTier Lock)
{
    // Their objects have to be thawed for hours before anybody can read them.
    private static readonly string[] Frozen = ["GLACIER", "DEEP_ARCHIVE"];
    private static readonly string[] GcsClasses = ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"];
    private static readonly string[] Locks = ["none", "governance", "compliance"];

    /// <summary>As the bucket is set up.</summary>
    public static BucketKeeping AsItIs { get; } = new(ByTier.None, ByTier.None);

    /// <summary>Reads that of a bucket of S3. Other stores than AWS have classes of their own. Problems are left in the reader.</summary>
    internal static BucketKeeping ReadS3(SettingsReader settings, string prefix) => new(
        Read(settings, $"{prefix}_STORAGE_CLASS", static s => s.ToUpperInvariant(), static s =>
            Frozen.Contains(s) ? "can't be used: objects of GLACIER and DEEP_ARCHIVE can't be listed, verified or restored before they are thawed for hours; GLACIER_IR can be read at once"
            : IsClassName(s) ? null : "must be a storage class of the store, e.g. STANDARD_IA, or such by tier: archive=GLACIER_IR,standard=STANDARD"),
        ReadLock(settings, prefix));

    /// <summary>Reads that of a bucket of Google Cloud Storage. Problems are left in the reader.</summary>
    internal static BucketKeeping ReadGcs(SettingsReader settings, string prefix) => new(
        Read(settings, $"{prefix}_STORAGE_CLASS", static s => s.ToUpperInvariant(), static s => GcsClasses.Contains(s)
            ? null
            : $"must be {string.Join(" or ", GcsClasses)}, or such by tier: archive=ARCHIVE,standard=STANDARD"),
        ReadLock(settings, prefix));

    private static ByTier ReadLock(SettingsReader settings, string prefix) => Read(
        settings,
        $"{prefix}_OBJECT_LOCK",
        static s => s.ToLowerInvariant(),
        static s => Locks.Contains(s) ? null : $"must be {string.Join(" or ", Locks)}, or such by tier: archive=compliance,standard=governance");

    private static ByTier Read(SettingsReader settings, string name, Func<string, string> spell, Func<string, string?> problemOf)
    {
        string? general = null;
        var own = new Dictionary<string, string>();
        foreach (var item in settings.List(name))
        {
            var at = item.IndexOf('=', StringComparison.Ordinal);
            var (tier, value) = at < 0 ? (null, item) : (item[..at].Trim().ToLowerInvariant(), item[(at + 1)..].Trim());
            value = spell(value);
            var problem = tier is not null && Enum.GetValues<Tier>().All(t => t.Word() != tier)
                ? $"names no tier: there are {string.Join(", ", Enum.GetValues<Tier>().Select(static t => t.Word()))}"
                : problemOf(value);
            if (problem is null && (tier is null ? general is not null : own.ContainsKey(tier)))
            {
                problem = $"has two values {(tier is null ? "for all tiers" : $"for tier {tier}")}";
            }

            if (problem is not null)
            {
                settings.Problem(name, settings.Text(name), problem);
                return ByTier.None;
            }

            if (tier is null)
            {
                general = value;
            }
            else
            {
                own[tier] = value;
            }
        }

        return new ByTier(general, own);
    }

    private static bool IsClassName(string text) =>
        text.Length is > 0 and <= 40 && text.All(static c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c is '_' or '-');
}
