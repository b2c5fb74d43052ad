using System.Runtime.InteropServices;

namespace SoundHash.Backup.Pipelines.Zstd;

/// <summary>Thin binding of libzstd 1.4 and later (zstd.h, "Streaming" and "Advanced" API); all that the pipeline needs.</summary>
internal static unsafe partial class LibZstd
{
    private const string Library = "libzstd.so.1";

    public enum Parameter
    {
        CompressionLevel = 100,
        WindowLog = 101,
        HashLog = 102,
        MinMatch = 105,
        ChecksumFlag = 201,
        Workers = 400,
        JobSize = 401,
    }

    public enum EndDirective
    {
        Continue = 0,
        End = 2,
    }

    /// <summary>True when the library can be loaded; without it gzip is used instead.</summary>
    // It stays loaded: who asks will use it, and each start of wal-archive push would load it twice.
    public static bool IsAvailable() => NativeLibrary.TryLoad(Library, out _);

    [LibraryImport(Library, EntryPoint = "ZSTD_createCCtx")]
    public static partial nint CreateCompressor();

    [LibraryImport(Library, EntryPoint = "ZSTD_freeCCtx")]
    public static partial nuint FreeCompressor(nint context);

    [LibraryImport(Library, EntryPoint = "ZSTD_CCtx_setParameter")]
    public static partial nuint SetParameter(nint context, Parameter parameter, int value);

    [LibraryImport(Library, EntryPoint = "ZSTD_compressStream2")]
    public static partial nuint Compress(nint context, ref OutBuffer output, ref InBuffer input, EndDirective directive);

    [LibraryImport(Library, EntryPoint = "ZSTD_createDCtx")]
    public static partial nint CreateDecompressor();

    [LibraryImport(Library, EntryPoint = "ZSTD_freeDCtx")]
    public static partial nuint FreeDecompressor(nint context);

    [LibraryImport(Library, EntryPoint = "ZSTD_decompressStream")]
    public static partial nuint Decompress(nint context, ref OutBuffer output, ref InBuffer input);

    [LibraryImport(Library, EntryPoint = "ZSTD_isError")]
    public static partial uint IsError(nuint code);

    [LibraryImport(Library, EntryPoint = "ZSTD_getErrorName")]
    private static partial nint GetErrorName(nuint code);

    public static string ErrorName(nuint code) => Marshal.PtrToStringUTF8(GetErrorName(code)) ?? "unknown error";

    [StructLayout(LayoutKind.Sequential)]
    public struct InBuffer
    {
        public byte* Source;
        public nuint Size;
        public nuint Position;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct OutBuffer
    {
        public byte* Destination;
        public nuint Size;
        public nuint Position;
    }
}
