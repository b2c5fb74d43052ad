namespace SoundHash.Backup.Storage.S3;

/// <summary>
/// How large the next part of an object of unknown length is: it doubles after each thousand parts' worth of bytes, so that the
/// 10,000 parts that S3 allows reach its largest object of 5 TiB, and buffers are no larger than an object needs.
/// </summary>
internal static class PartSizes
{
    /// <summary>Parts that S3 takes of one object.</summary>
    public const int MostParts = 10_000;

    /// <summary>No part is larger.</summary>
    public const int Largest = 1024 * 1024 * 1024;

    private const int PartsOfASize = 1000;

    /// <summary>Bytes of the part that comes next.</summary>
    /// <param name="first">Bytes of the first part.</param>
    /// <param name="sent">Bytes of the object that are in the parts before it.</param>
    public static int Next(int first, long sent)
    {
        var size = Math.Min(first, Largest);
        while (sent >= (long)size * PartsOfASize && size < Largest)
        {
            size = (int)Math.Min(size * 2L, Largest);
        }

        return size;
    }
}
