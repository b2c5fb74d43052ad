using System.Text;
using System.Text.Json;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>The backup_manifest that a server sent with its files: proves that they came as they were sent, and says where they end.</summary>
internal static class ServerManifest
{
    private const string LabelFile = "backup_label";

    /// <summary>Compares every file with it: all that it names came, as it says, and nothing else did.</summary>
    /// <param name="manifest">The manifest.</param>
    /// <param name="files">The files in volumes.</param>
    /// <param name="small">Files beside them that it names, by their paths; backup_label among them.</param>
    /// <returns>What the backup ended with.</returns>
    /// <exception cref="BackupException">Something differs.</exception>
    public static BackupEnd Check(byte[] manifest, IReadOnlyList<StoredFile> files, IReadOnlyDictionary<string, byte[]> small)
    {
        try
        {
            using var document = JsonDocument.Parse(manifest);
            var sent = document.RootElement.GetProperty("Files").EnumerateArray()
                .Where(static f => f.TryGetProperty("Path", out _))
                .ToDictionary(static f => f.GetProperty("Path").GetString()!, static f => (f.GetProperty("Size").GetInt64(), f.GetProperty("Checksum").GetString()));
            var came = files.Select(static f => (f.Path, f.Size, f.Crc32C))
                .Concat(small.Select(static s => (Path: s.Key, Size: (long)s.Value.Length, Crc32C: Crc32C.Text(Crc32C.Of(s.Value)))));
            foreach (var file in came)
            {
                if (!sent.Remove(file.Path, out var known) || known != (file.Size, file.Crc32C))
                {
                    throw Differs($"{file.Path} came with {file.Size} bytes and CRC-32C {file.Crc32C}, which its backup_manifest does not say");
                }
            }

            foreach (var (path, _) in sent)
            {
                throw Differs($"{path} did not come, which its backup_manifest says");
            }

            var range = document.RootElement.GetProperty("WAL-Ranges").EnumerateArray().Last();
            var end = BackupEnd.Of(Encoding.UTF8.GetString(small[LabelFile]), Lsn.Parse(range.GetProperty("End-LSN").GetString()));
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
