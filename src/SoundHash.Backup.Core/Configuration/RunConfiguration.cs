using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Pipelines.Zstd;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads the settings that need no type of their own.</summary>
public static class RunConfiguration
{
    // Measured (docs/performance.md): within 2 % of level 3 on data files and on WAL, at two thirds of its time.
    private const int PageLevel = 1;

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

    /// <summary>As <see cref="ReadCompression"/>, for PostgreSQL's pages and WAL, in which no bytes are written as text.</summary>
    public static Compression ReadPageCompression(SettingsReader settings)
    {
        var compression = ReadCompression(settings);
        return compression.Method == CompressionMethod.Zstd ? compression with { Level = compression.Level ?? PageLevel } : compression;
    }

    /// <summary>How many streams run at once.</summary>
    public static int ReadJobs(SettingsReader settings) =>
        settings.Number("BACKUP_JOBS", 1, 64) ?? Math.Min(Environment.ProcessorCount, 4);
}
