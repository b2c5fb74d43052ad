using System.Text.Json;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Writes manifests, and reads them as if an enemy had written them.</summary>
public static class ManifestFormat
{
    /// <summary>A manifest larger than this is not read: 16 MiB.</summary>
    public const int MaxBytes = 16 * 1024 * 1024;

    // Sums of sizes, and times plus any retention, stay within their types.
    private const long MaxTotalBytes = 1L << 60;

    /// <summary>No set started before.</summary>
    public static DateTimeOffset Earliest { get; } = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>No set stops after.</summary>
    public static DateTimeOffset Latest { get; } = new(3000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The manifest's bytes.</summary>
    public static byte[] Write(Manifest manifest) =>
        ManifestChecksum.Add(JsonSerializer.SerializeToUtf8Bytes(manifest, RepositoryJson.Default.Manifest));

    /// <summary>Reads a manifest.</summary>
    /// <param name="bytes">The whole file.</param>
    /// <param name="id">The id of the folder that it stands in.</param>
    /// <exception cref="BackupException">It is cut, empty, of a newer format, or not what it must be.</exception>
    public static Manifest Read(ReadOnlySpan<byte> bytes, string id)
    {
        try
        {
            CheckFormat(bytes, id);
            var json = ManifestChecksum.Remove(bytes) ?? throw Damaged(id, "its checksum does not fit: it was damaged or changed");
            var manifest = JsonSerializer.Deserialize(json, RepositoryJson.Default.Manifest) ?? throw Damaged(id, "it is null");
            Check(manifest, id);
            return manifest;
        }
        catch (JsonException e)
        {
            throw Damaged(id, bytes.Length == 0 ? "it is empty" : $"it is not the expected JSON ({Printable(e.Message)})");
        }
    }

    private static void CheckFormat(ReadOnlySpan<byte> bytes, string id)
    {
        var reader = new Utf8JsonReader(bytes, new JsonReaderOptions { MaxDepth = 16 });
        using var document = JsonDocument.ParseValue(ref reader);
        if (document.RootElement.ValueKind != JsonValueKind.Object
            || !document.RootElement.TryGetProperty("formatVersion", out var value)
            || value.ValueKind != JsonValueKind.Number
            || !value.TryGetInt32(out var version)
            || version < 1)
        {
            throw Damaged(id, "it has no format version");
        }

        if (version > Manifest.CurrentFormat)
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"the manifest of set {id} has format version {version}; this shbackup reads up to {Manifest.CurrentFormat}",
                $"use a shbackup that reads format version {version}");
        }
    }

    private static void Check(Manifest manifest, string id)
    {
        if (manifest.Id != id)
        {
            throw Damaged(id, $"it says that it is the manifest of '{Printable(manifest.Id)}'");
        }

        if (manifest.Objects.Count == 0)
        {
            throw Damaged(id, "it lists no objects");
        }

        if (manifest.Stopped < manifest.Started)
        {
            throw Damaged(id, "it stopped before it started");
        }

        if (manifest.Started < Earliest || manifest.Stopped > Latest)
        {
            throw Damaged(id, "its time is impossible");
        }

        if ((manifest.Kind == SetKind.Physical) != (manifest.Physical is not null))
        {
            throw Damaged(id, $"it is {manifest.Kind.Word()}, and what a base backup has is {(manifest.Physical is null ? "missing" : "there")}");
        }

        if (manifest.Physical is { } physical && physical.WhyImpossible() is { } why)
        {
            throw Damaged(id, Printable(why));
        }

        var seen = new HashSet<string>();
        Int128 total = 0;
        foreach (var item in manifest.Objects)
        {
            if (item is null)
            {
                throw Damaged(id, "an object in it is null");
            }

            if (!ObjectKey.IsValidSegment(item.Key) || RepositoryLayout.IsReserved(item.Key) || !seen.Add(item.Key))
            {
                throw Damaged(id, $"it has an object with the impossible name '{Printable(item.Key)}'");
            }

            if (item.StoredBytes < 0 || item.PlainBytes < 0 || !IsHex(item.StoredSha256, 64) || !IsHex(item.PlainXxHash128, 32))
            {
                throw Damaged(id, $"the size or hash of object {item.Key} is impossible");
            }

            total += (Int128)item.StoredBytes + item.PlainBytes;
            if (total > MaxTotalBytes)
            {
                throw Damaged(id, "the sizes of its objects are impossible");
            }
        }
    }

    private static bool IsHex(string text, int digits) => text.Length == digits && text.All(char.IsAsciiHexDigitLower);

    private static string Printable(string text) => new(text.Take(200).Select(static c => char.IsControl(c) ? '?' : c).ToArray());

    private static BackupException Damaged(string id, string how) => new(
        ErrorKind.Verification,
        $"the manifest of set {id} can't be used: {how}",
        "restore that file from another copy of the repository, or remove the set's folder when it is of no use");
}
