namespace SoundHash.Backup.Pipelines;

/// <summary>A hash of an object's bytes, as a record has it.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Hex">Lower-case hex.</param>
public readonly record struct ContentSum(SumKind Kind, string Hex)
{
    /// <summary>A SHA-256.</summary>
    public static ContentSum Sha256(string hex) => new(SumKind.Sha256, hex);

    /// <summary>An XXH128.</summary>
    public static ContentSum XxHash128(string hex) => new(SumKind.XxHash128, hex);
}

/// <summary>The hashes in use.</summary>
public enum SumKind
{
    /// <summary>SHA-256: nobody can make other bytes that have it.</summary>
    Sha256,

    /// <summary>XXH128: finds every accident, and costs next to nothing.</summary>
    XxHash128,
}
