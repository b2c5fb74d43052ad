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

    /// <summary>The file's bytes. It has a line for each file of the cluster, of which there may be hundreds of thousands.</summary>
    public static MemoryStream Make(IEnumerable<StoredFile> files, BackupEnd end, int serverMajor, string systemIdentifier)
    {
        var text = new MemoryStream();
        Append(text, $"{{ \"PostgreSQL-Backup-Manifest-Version\": {(serverMajor >= SecondVersion ? 2 : 1)},\n");
        if (serverMajor >= SecondVersion)
        {
            Append(text, $"\"System-Identifier\": {systemIdentifier},\n");
        }

        Append(text, $"\"Files\": [");
        var separator = "\n";
        foreach (var file in files)
        {
            var path = JsonEncodedText.Encode(file.Path, JavaScriptEncoder.UnsafeRelaxedJsonEscaping);
            Append(
                text,
                $"{separator}{{ \"Path\": \"{path}\", \"Size\": {file.Size}, \"Last-Modified\": \"{file.Modified.UtcDateTime:yyyy-MM-dd HH:mm:ss} GMT\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{file.Crc32C}\" }}");
            separator = ",\n";
        }

        Append(
            text,
            $"\n],\n\"WAL-Ranges\": [\n{{ \"Timeline\": {end.Timeline}, \"Start-LSN\": \"{end.Start}\", \"End-LSN\": \"{end.Stop}\" }}\n],\n");
        var sum = SHA256.HashData(text.GetBuffer().AsSpan(0, (int)text.Length));
        Append(text, $"\"Manifest-Checksum\": \"{Convert.ToHexStringLower(sum)}\"}}\n");
        text.Position = 0;
        return text;
    }

    private static void Append(MemoryStream text, FormattableString line) =>
        text.Write(Encoding.UTF8.GetBytes(line.ToString(CultureInfo.InvariantCulture)));

    /// <summary>A small file of which all bytes are known.</summary>
    public static StoredFile Describe(string path, ReadOnlySpan<byte> bytes, DateTimeOffset modified) => new(
        path, bytes.Length, modified, Crc32C.Of(bytes), Convert.ToHexStringLower(System.IO.Hashing.XxHash128.Hash(bytes)), string.Empty);
}
