using System.Text;
using System.Text.Json;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>The backup_manifest that a server sent with its files: proves that they came as they were sent, and says where they end.</summary>
internal static class ServerManifest
{
    /// <summary>Compares every file with it.</summary>
    /// <returns>What the backup ended with.</returns>
    /// <exception cref="BackupException">Something differs.</exception>
    public static BackupEnd Check(byte[] manifest, IReadOnlyList<StoredFile> files, byte[] label)
    {
        try
        {
            using var document = JsonDocument.Parse(manifest);
            var sent = document.RootElement.GetProperty("Files").EnumerateArray()
                .Where(static f => f.TryGetProperty("Path", out _))
                .ToDictionary(static f => f.GetProperty("Path").GetString()!, static f => (f.GetProperty("Size").GetInt64(), f.GetProperty("Checksum").GetString()));
            foreach (var file in files)
            {
                if (!sent.TryGetValue(file.Path, out var known) || known != (file.Size, file.Crc32C))
                {
                    throw Differs($"{file.Path} came with {file.Size} bytes and CRC-32C {file.Crc32C}, which its backup_manifest does not say");
                }
            }

            var range = document.RootElement.GetProperty("WAL-Ranges").EnumerateArray().Last();
            var end = BackupEnd.Of(Encoding.UTF8.GetString(label), Lsn.Parse(range.GetProperty("End-LSN").GetString()));
            return Lsn.Parse(range.GetProperty("Start-LSN").GetString()) == end.Start && range.GetProperty("Timeline").GetUInt32() == end.Timeline
                ? end
                : throw Differs("its backup_label and its backup_manifest differ in where it begins");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or FormatException or InvalidOperationException)
        {
            throw Differs($"its backup_manifest makes no sense: {e.Message}");
        }
    }

    private static BackupException Differs(string how) =>
        new(ErrorKind.ChildFailed, $"the stream of pg_basebackup is not what the server sent: {how}", "run the backup again; see the server's log");
}
