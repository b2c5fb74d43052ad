using System.IO.Compression;

namespace SoundHash.Backup.Pipelines;

/// <summary>
/// Makes gzip streams that tell a cut stream from one that has ended: without a switch .NET takes both for an end. It
/// reads the switch when the first gzip stream of the process is made, so that all of them are made here.
/// </summary>
internal static class StrictGzip
{
    static StrictGzip() => AppContext.SetSwitch("System.IO.Compression.UseStrictValidation", isEnabled: true);

    public static GZipStream Reader(Stream source) => new(source, CompressionMode.Decompress);

    public static GZipStream Writer(Stream target, int level) =>
        new(target, new ZLibCompressionOptions { CompressionLevel = level }, leaveOpen: true);
}
