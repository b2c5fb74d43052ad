using System.Runtime.InteropServices;

namespace SoundHash.Backup.Pipelines.Zstd;

/// <summary>Owns a libzstd compression context.</summary>
internal sealed class ZstdCompressor : SafeHandle
{
    public ZstdCompressor()
        : base(0, ownsHandle: true) => SetHandle(LibZstd.CreateCompressor());

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => LibZstd.FreeCompressor(handle) == 0;
}

/// <summary>Owns a libzstd decompression context.</summary>
internal sealed class ZstdDecompressor : SafeHandle
{
    public ZstdDecompressor()
        : base(0, ownsHandle: true) => SetHandle(LibZstd.CreateDecompressor());

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => LibZstd.FreeDecompressor(handle) == 0;
}
