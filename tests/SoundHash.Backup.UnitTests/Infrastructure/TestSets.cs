using System.IO.Hashing;
using System.Security.Cryptography;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>Manifests and whole sets for tests.</summary>
internal static class TestSets
{
    public static DateTimeOffset Noon { get; } = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Every store keeps sets for the usual time.</summary>
    public static StoreRetention Retention { get; } = new(new RetentionDays(30, 90, 365), new Dictionary<string, RetentionDays>());

    public static SetKeeping Keeping { get; } = new(SetKind.Logical, Tier.Standard, Noon, Retention);

    public static ObjectRecord Record(string key, byte[] stored, ObjectRole role = ObjectRole.Dump) => new()
    {
        Key = key,
        Role = role,
        StoredBytes = stored.Length,
        StoredSha256 = Convert.ToHexStringLower(SHA256.HashData(stored)),
        PlainBytes = stored.Length,
        PlainXxHash128 = Convert.ToHexStringLower(XxHash128.Hash(stored)),
        Compression = CompressionMethod.None,
        Encryption = EncryptionMethod.None,
    };

    public static Manifest Manifest(
        string id,
        DateTimeOffset? started = null,
        string database = "soundhash",
        params ObjectRecord[] objects) => new()
        {
            FormatVersion = 1,
            Id = id,
            RunId = "0123456789abcdef",
            Name = "soundhash_backup",
            Kind = SetKind.Logical,
            Database = database,
            Tier = Tier.Standard,
            Started = started ?? Noon,
            Stopped = (started ?? Noon).AddMinutes(5),
            Expires = (started ?? Noon).AddDays(30),
            ToolVersion = "0.1.0",
            ServerVersion = "15.18",
            DumpVersion = "15.18",
            SystemIdentifier = "7300000000000000001",
            DatabaseBytes = 1_000_000,
            Objects = objects.Length > 0 ? objects : [Record("database.dump", [1, 2, 3])],
        };

    /// <summary>Puts a whole set into a store: objects, SHA256SUMS, manifest.</summary>
    public static async Task<Manifest> AddSetAsync(this IObjectStore store, Manifest manifest, params byte[][] contents)
    {
        foreach (var (item, content) in manifest.Objects.Zip(contents.DefaultIfEmpty([1, 2, 3])))
        {
            await store.WriteAsync(RepositoryLayout.InSet(manifest.Id, item.Key), content, WriteMode.CreateNew, TestRun.Cancel);
        }

        var sums = string.Concat(manifest.Objects.Select(static o => $"{o.StoredSha256}  {o.Key}\n"));
        await store.WriteAsync(
            RepositoryLayout.InSet(manifest.Id, RepositoryLayout.SumsFile),
            System.Text.Encoding.ASCII.GetBytes(sums),
            WriteMode.CreateNew,
            TestRun.Cancel);
        await store.WriteAsync(
            RepositoryLayout.InSet(manifest.Id, RepositoryLayout.ManifestFile),
            ManifestFormat.Write(manifest),
            WriteMode.CreateNew,
            TestRun.Cancel);
        return manifest;
    }

    public static Task<Catalogue> CatalogueAsync(this IObjectStore store) => Catalogue.LoadAsync(store, TestRun.Cancel);
}
