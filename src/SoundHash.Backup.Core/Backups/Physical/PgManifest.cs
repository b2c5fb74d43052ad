using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// backup_manifest as PostgreSQL writes it (src/backend/backup/backup_manifest.c), so that pg_verifybackup checks what is restored.
/// </summary>
internal static class PgManifest
{
    // Version 2, which names the cluster, came with 17.
    private const int SecondVersion = 17;

    public static byte[] Make(IEnumerable<StoredFile> files, BackupEnd end, int serverMajor, string systemIdentifier)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{{ \"PostgreSQL-Backup-Manifest-Version\": {(serverMajor >= SecondVersion ? 2 : 1)},\n");
        if (serverMajor >= SecondVersion)
        {
            text.Append(CultureInfo.InvariantCulture, $"\"System-Identifier\": {systemIdentifier},\n");
        }

        text.Append("\"Files\": [");
        var separator = "\n";
        foreach (var file in files)
        {
            text.Append(separator);
            text.Append(
                CultureInfo.InvariantCulture,
                $"{{ \"Path\": \"{JsonEncodedText.Encode(file.Path, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\", \"Size\": {file.Size}, \"Last-Modified\": \"{file.Modified.UtcDateTime:yyyy-MM-dd HH:mm:ss} GMT\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{file.Crc32C}\" }}");
            separator = ",\n";
        }

        text.Append(
            CultureInfo.InvariantCulture,
            $"\n],\n\"WAL-Ranges\": [\n{{ \"Timeline\": {end.Timeline}, \"Start-LSN\": \"{end.Start}\", \"End-LSN\": \"{end.Stop}\" }}\n],\n");
        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        var sum = Encoding.ASCII.GetBytes($"\"Manifest-Checksum\": \"{Convert.ToHexStringLower(SHA256.HashData(bytes))}\"}}\n");
        return [.. bytes, .. sum];
    }

    /// <summary>A small file of which all bytes are known.</summary>
    public static StoredFile Describe(string path, ReadOnlySpan<byte> bytes, DateTimeOffset modified) => new(
        path, bytes.Length, modified, Crc32C.Of(bytes), Convert.ToHexStringLower(System.IO.Hashing.XxHash128.Hash(bytes)), string.Empty);
}
