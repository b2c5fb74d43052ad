using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines.Zstd;

namespace SoundHash.Backup.Pipelines;

/// <summary>How an object is compressed. The names are part of the repository format.</summary>
public enum CompressionMethod
{
    /// <summary>Not compressed.</summary>
    None,

    /// <summary>One zstd frame.</summary>
    Zstd,

    /// <summary>gzip, where libzstd is missing.</summary>
    Gzip,
}

/// <summary>A compression method with its strength.</summary>
/// <param name="Method">The method.</param>
/// <param name="Level">zstd: 1 to 19; gzip: 1 to 9; null for a default made for dumps; ignored without compression.</param>
/// <param name="Workers">Threads that zstd may use besides the caller's.</param>
public sealed record Compression(CompressionMethod Method, int? Level, int Workers)
{
    private const int DefaultGzipLevel = 6;

    /// <summary>The file name suffix of a method, with its dot, or nothing.</summary>
    public static string Suffix(CompressionMethod method) => method switch
    {
        CompressionMethod.Zstd => ".zst",
        CompressionMethod.Gzip => ".gz",
        _ => string.Empty,
    };

    /// <summary>Tells the method by the first four bytes of a stream: the magic number of zstd or gzip.</summary>
    public static CompressionMethod Detect(ReadOnlySpan<byte> first) =>
        first.StartsWith((ReadOnlySpan<byte>)[0x28, 0xB5, 0x2F, 0xFD]) ? CompressionMethod.Zstd
        : first.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]) ? CompressionMethod.Gzip
        : CompressionMethod.None;

    /// <summary>Puts this compression before a stage.</summary>
    public WriteStage Compress(WriteStage next) => Method switch
    {
        CompressionMethod.Zstd => new ZstdCompressStage(next, Level, Workers),
        CompressionMethod.Gzip => new GzipCompressStage(next, Level ?? DefaultGzipLevel),
        _ => next,
    };

    /// <summary>Undoes a method.</summary>
    /// <param name="method">How the stream was compressed.</param>
    /// <param name="source">The compressed stream; disposed with the result.</param>
    /// <param name="subject">What is read, for messages.</param>
    /// <exception cref="BackupException">libzstd is needed and missing.</exception>
    public static Stream Decompress(CompressionMethod method, Stream source, string subject) => method switch
    {
        CompressionMethod.Zstd when !LibZstd.IsAvailable() => throw new BackupException(
            ErrorKind.ToolMissing, $"{subject} is compressed with zstd and libzstd.so.1 is missing", "apt-get install libzstd1"),
        CompressionMethod.Zstd => new ZstdDecompressStage(source, subject),
        CompressionMethod.Gzip => new GzipDecompressStage(source, subject),
        _ => source,
    };
}
