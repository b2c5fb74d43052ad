using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Pipelines.Zstd;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads the settings that need no type of their own.</summary>
public static class RunConfiguration
{
    /// <summary>How to compress; gzip where zstd was not asked for and libzstd is missing.</summary>
    public static Compression ReadCompression(SettingsReader settings)
    {
        var asked = settings.Choice("BACKUP_COMPRESSION", "zstd", "gzip", "none");
        var zstd = asked == "zstd" && LibZstd.IsAvailable();
        if (asked == "zstd" && !zstd && settings.Given("BACKUP_COMPRESSION") is not null)
        {
            settings.Problem("BACKUP_COMPRESSION", "zstd", "needs libzstd.so.1, which is missing (apt-get install libzstd1)");
        }

        var method = asked == "none" ? CompressionMethod.None : zstd ? CompressionMethod.Zstd : CompressionMethod.Gzip;
        var level = settings.Number("BACKUP_COMPRESSION_LEVEL", 1, method == CompressionMethod.Gzip ? 9 : 19);
        return new Compression(method, level, Math.Min(Environment.ProcessorCount, 4));
    }

    /// <summary>How many streams run at once.</summary>
    public static int ReadJobs(SettingsReader settings) =>
        settings.Number("BACKUP_JOBS", 1, 64) ?? Math.Min(Environment.ProcessorCount, 4);
}
