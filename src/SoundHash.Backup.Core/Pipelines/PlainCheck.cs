namespace SoundHash.Backup.Pipelines;

/// <summary>How the plain bytes of an object are compared with its record. The stored bytes always are, by their SHA-256.</summary>
public enum PlainCheck
{
    /// <summary>By SHA-256: what a person can check by hand.</summary>
    Sha256,

    /// <summary>
    /// By XXH128, which costs next to nothing: the stored bytes are the right ones, so that only a fault of this machine or program
    /// is left to find. By SHA-256 where a set has no XXH128.
    /// </summary>
    Quick,

    /// <summary>By their length alone: for who compares each file in them with sums of its own.</summary>
    Length,
}
