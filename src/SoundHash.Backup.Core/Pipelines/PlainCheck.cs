namespace SoundHash.Backup.Pipelines;

/// <summary>How the plain bytes of an object are compared with its record. The stored bytes always are, by their SHA-256.</summary>
public enum PlainCheck
{
    /// <summary>By their XXH128: the stored bytes are the right ones, so that only a fault of this machine or program is left to find.</summary>
    Whole,

    /// <summary>By their length alone: for who compares each file in them with sums of its own.</summary>
    Length,
}
