using System.Text;
using System.Text.Json.Nodes;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>What a manifest looks like, and that a version that knows more loses nothing here.</summary>
public sealed class ManifestFormatTests
{
    private const string Id = "soundhash_backup_20261122_120000";

    private static readonly Manifest Sample = TestSets.Manifest(
        Id,
        null,
        "it's \"größe\"",
        TestSets.Record("pre-data.dump.zst.age", [1], ObjectRole.PreData) with
        {
            Compression = CompressionMethod.Zstd,
            Encryption = EncryptionMethod.Age,
            Recipients = ["age1abc", "ssh-ed25519 AAAA"],
        },
        TestSets.Record("globals.sql", [1, 2], ObjectRole.Globals)) with
    { Tier = Tier.Extended };

    [Fact]
    public void What_is_written_is_read_back()
    {
        var bytes = ManifestFormat.Write(Sample);

        var read = ManifestFormat.Read(bytes, Id);

        Assert.Equal(bytes, ManifestFormat.Write(read));
        Assert.Equal(Sample with { Objects = read.Objects }, read);
        Assert.Equal(Sample.Objects[0] with { Recipients = read.Objects[0].Recipients }, read.Objects[0]);
        Assert.Equal(["age1abc", "ssh-ed25519 AAAA"], read.Objects[0].Recipients);
    }

    [Fact]
    public void Names_and_words_are_those_of_the_documented_format()
    {
        var json = JsonNode.Parse(ManifestFormat.Write(Sample))!;

        Assert.Equal(1, (int)json["formatVersion"]!);
        Assert.Equal("logical", (string?)json["kind"]);
        Assert.Equal("extended", (string?)json["tier"]);
        Assert.Equal("2026-11-22T12:00:00+00:00", (string?)json["started"]);
        Assert.Equal("7300000000000000001", (string?)json["systemIdentifier"]);
        var first = json["objects"]![0]!;
        Assert.Equal(
            ("pre-data.dump.zst.age", "pre-data", "zstd", "age", 1),
            (
                (string)first["key"]!,
                (string)first["role"]!,
                (string)first["compression"]!,
                (string)first["encryption"]!,
                (int)first["storedBytes"]!));
        Assert.Equal("none", (string?)json["objects"]![1]!["encryption"]);
    }

    [Fact]
    public void Fields_that_this_version_does_not_know_are_kept()
    {
        var json = JsonNode.Parse(ManifestFormat.Write(Sample))!.AsObject();
        json.Remove("sha256");
        json["timeline"] = 3;
        json["wal"] = new JsonObject { ["start"] = "0/1000028", ["segments"] = new JsonArray("a", "b") };
        json["objects"]![0]!.AsObject()["damagedPages"] = new JsonArray(7, 8);

        var read = ManifestFormat.Read(ManifestChecksum.Add(Encoding.UTF8.GetBytes(json.ToJsonString())), Id);
        var again = JsonNode.Parse(ManifestFormat.Write(read))!.AsObject();

        again.Remove("sha256");
        Assert.True(JsonNode.DeepEquals(json, again), again.ToJsonString());
    }

    [Fact]
    public void A_newer_format_is_refused_with_the_version_that_is_needed_whatever_else_it_holds()
    {
        foreach (var newer in (string[])["""{"formatVersion": 2}""", """{"sets": [{"deep": null}], "formatVersion": 2}"""])
        {
            var e = Assert.Throws<BackupException>(() => ManifestFormat.Read(Encoding.UTF8.GetBytes(newer), Id));

            Assert.Equal(ErrorKind.Verification, e.Kind);
            Assert.Equal($"the manifest of set {Id} has format version 2; this shbackup reads up to 1", e.Message);
            Assert.Equal("use a shbackup that reads format version 2", e.Hint);
        }
    }

    [Fact]
    public void Totals_come_from_the_objects()
    {
        Assert.Equal(3, Sample.StoredBytes);
        Assert.Equal(15, Sample.DumpMajor);
        Assert.Equal("globals.sql", Sample.Single(ObjectRole.Globals).Key);
        Assert.Equal(ErrorKind.Verification, Assert.Throws<BackupException>(() => Sample.Single(ObjectRole.Dump)).Kind);
    }
}
