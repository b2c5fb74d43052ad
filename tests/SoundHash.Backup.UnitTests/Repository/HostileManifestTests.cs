using System.Text;
using System.Text.Json.Nodes;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>A manifest that is cut, empty or written by someone hostile is refused with its cause, and breaks nothing.</summary>
public sealed class HostileManifestTests
{
    private const string Id = "soundhash_backup_20261122_120000";

    [Theory]
    [InlineData("", "it is empty")]
    [InlineData("   \n", "it is not the expected JSON")]
    [InlineData("null", "it has no format version")]
    [InlineData("[]", "it has no format version")]
    [InlineData("7", "it has no format version")]
    [InlineData("\"formatVersion\"", "it has no format version")]
    [InlineData("{}", "it has no format version")]
    [InlineData("""{"formatVersion": null}""", "it has no format version")]
    [InlineData("""{"formatVersion": "1"}""", "it has no format version")]
    [InlineData("""{"formatVersion": 1.5}""", "it has no format version")]
    [InlineData("""{"formatVersion": 1e99}""", "it has no format version")]
    [InlineData("""{"formatVersion": 0}""", "it has no format version")]
    [InlineData("""{"formatVersion": -1}""", "it has no format version")]
    [InlineData("""{"formatVersion": true}""", "it has no format version")]
    [InlineData("""{"formatVersion": {}}""", "it has no format version")]
    [InlineData("""{"formatVersion": 1}""", "its checksum does not fit")]
    [InlineData("""{"formatVersion": 1} {}""", "its checksum does not fit")]
    public void What_is_no_manifest_is_told_as_such(string text, string how)
    {
        AssertRefused(Encoding.UTF8.GetBytes(text), how);
    }

    [Fact]
    public void A_manifest_that_lacks_what_it_must_have_is_refused()
    {
        AssertRefused(ManifestChecksum.Add("""{"formatVersion": 1}"""u8), "it is not the expected JSON");
    }

    [Fact]
    public void A_manifest_with_one_flipped_bit_anywhere_is_refused()
    {
        var bytes = ManifestFormat.Write(TestSets.Manifest(Id));

        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            AssertFit(Assert.Throws<BackupException>(() => ManifestFormat.Read(bytes, Id)));
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public void A_manifest_that_is_cut_anywhere_is_refused()
    {
        var bytes = ManifestFormat.Write(TestSets.Manifest(Id));

        for (var length = 0; length < bytes.Length; length++)
        {
            AssertRefused(bytes[..length], string.Empty);
        }
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("../../../../etc/cron.d/x")]
    [InlineData("/etc/passwd")]
    [InlineData("a/b")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a\nb")]
    [InlineData("a\0b")]
    [InlineData("\u001b[2Jx")]
    [InlineData("größe")]
    [InlineData("-rf;x")]
    [InlineData("manifest.json")]
    [InlineData("SHA256SUMS")]
    [InlineData("intent.json")]
    [InlineData("keep.json")]
    public void An_object_can_not_have_a_name_that_leads_elsewhere(string key)
    {
        AssertRefused(Changed(m => m["objects"]![0]!["key"] = key), "it has an object with the impossible name");
    }

    [Fact]
    public void A_name_that_is_too_long_or_stands_there_twice_is_refused()
    {
        AssertRefused(Changed(static m => m["objects"]![0]!["key"] = new string('a', 201)), "impossible name");
        AssertRefused(Changed(static m => m["objects"]!.AsArray().Add(m["objects"]![0]!.DeepClone())), "impossible name 'database.dump'");
    }

    [Theory]
    [InlineData("storedBytes", "-1")]
    [InlineData("plainBytes", "-1")]
    [InlineData("storedBytes", "-9223372036854775808")]
    [InlineData("storedSha256", "\"\"")]
    [InlineData("storedSha256", "\"E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\"")]
    [InlineData("storedSha256", "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85\"")]
    [InlineData("storedSha256", "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555\"")]
    [InlineData("storedSha256", "\"../c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855x\"")]
    [InlineData("plainXxHash128", "\"\"")]
    [InlineData("plainXxHash128", "\"99aa06d3014798d86001c324468d497G\"")]
    [InlineData("plainXxHash128", "\"99aa06d3014798d86001c324468d497\"")]
    public void A_size_or_hash_that_can_not_be_is_refused(string field, string value)
    {
        AssertRefused(
            Changed(m => m["objects"]![0]![field] = JsonNode.Parse(value)),
            "the size or hash of object database.dump is impossible");
    }

    [Theory]
    [InlineData("storedBytes")]
    [InlineData("plainBytes")]
    public void Sizes_that_together_are_more_than_a_number_holds_are_refused(string field)
    {
        AssertRefused(
            Changed(m =>
            {
                var second = m["objects"]![0]!.DeepClone();
                second["key"] = "second.dump";
                m["objects"]!.AsArray().Add(second);
                m["objects"]![0]![field] = long.MaxValue;
                m["objects"]![1]![field] = long.MaxValue;
            }),
            "impossible");
    }

    [Theory]
    [InlineData("objects", "null")]
    [InlineData("objects", "[null]")]
    [InlineData("objects", "{}")]
    [InlineData("objects", "[]")]
    [InlineData("id", "null")]
    [InlineData("id", "7")]
    [InlineData("database", "null")]
    [InlineData("database", "\"\\ud800\"")]
    [InlineData("kind", "0")]
    [InlineData("kind", "\"magic\"")]
    [InlineData("tier", "\"forever\"")]
    [InlineData("tier", "99")]
    [InlineData("started", "\"yesterday\"")]
    [InlineData("started", "\"99999-01-01T00:00:00Z\"")]
    [InlineData("started", "0")]
    [InlineData("databaseBytes", "1e400")]
    [InlineData("databaseBytes", "99999999999999999999")]
    [InlineData("systemIdentifier", "7300000000000000001")]
    public void A_value_of_another_type_is_refused(string field, string value)
    {
        AssertRefused(WithRaw(field, value), string.Empty);
    }

    [Fact]
    public void A_manifest_of_another_set_is_refused()
    {
        AssertRefused(Changed(static m => m["id"] = "other_20261122_120000"), "it says that it is the manifest of 'other_20261122_120000'");
        AssertRefused(
            Changed(static m => m["id"] = "\u001b]0;owned\u0007" + new string('x', 5000)),
            "it says that it is the manifest of '?]0;owned?xxx");
    }

    [Fact]
    public void A_set_that_stopped_before_it_started_is_refused()
    {
        AssertRefused(Changed(static m => m["stopped"] = "2026-11-22T11:59:59Z"), "it stopped before it started");
    }

    [Fact]
    public void Nesting_without_end_is_refused_and_overflows_nothing()
    {
        const int Depth = 1_000_000;
        var nested = string.Concat(Enumerable.Repeat("{\"a\":", Depth)) + "1" + new string('}', Depth);

        AssertRefused(WithRaw("extra", nested), "it is not the expected JSON");
    }

    [Fact]
    public void Many_objects_are_no_problem_of_their_own()
    {
        var objects = Enumerable.Range(0, 20_000).Select(
            static n => TestSets.Record($"data-{n:00000}.dump", [1], ObjectRole.Data)).ToArray();

        var read = ManifestFormat.Read(ManifestFormat.Write(TestSets.Manifest(Id, null, "soundhash", objects)), Id);

        Assert.Equal(20_000, read.Objects.Count);
    }

    [Fact]
    public void No_damage_leads_to_another_error_than_a_refusal()
    {
        var random = NewRandom();
        var good = ManifestChecksum.Remove(ManifestFormat.Write(TestSets.Manifest(Id)))!;
        byte[] likely = [.. "\"\\{}[],:0-9.eEnulltrue \u0000\u001b"u8, 0xFF, 0xC0, 0xED, 0xA0, 0x80];
        for (var round = 0; round < 20_000; round++)
        {
            var damaged = good.ToList();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                var at = random.Next(damaged.Count);
                switch (random.Next(4))
                {
                    case 0:
                        damaged.RemoveRange(at, random.Next(Math.Min(20, damaged.Count - at)));
                        break;
                    case 1:
                        damaged.InsertRange(at, damaged.Skip(random.Next(damaged.Count)).Take(random.Next(30)).ToList());
                        break;
                    default:
                        damaged[at] = likely[random.Next(likely.Length)];
                        break;
                }
            }

            try
            {
                ManifestFormat.Read(damaged.Contains((byte)'}') ? ManifestChecksum.Add([.. damaged]) : [.. damaged], Id);
            }
            catch (BackupException e)
            {
                AssertFit(e);
            }
        }
    }

    private static byte[] Changed(Action<JsonNode> change) => ManifestChecksum.Add(Encoding.UTF8.GetBytes(ChangedJson(change)));

    private static byte[] WithRaw(string field, string value) => ManifestChecksum.Add(Encoding.UTF8.GetBytes(
        ChangedJson(m => m[field] = "here").Replace("\"here\"", value, StringComparison.Ordinal)));

    private static string ChangedJson(Action<JsonNode> change)
    {
        var json = JsonNode.Parse(ManifestFormat.Write(TestSets.Manifest(Id)))!;
        json.AsObject().Remove("sha256");
        change(json);
        return json.ToJsonString();
    }

    private static void AssertRefused(byte[] manifest, string how)
    {
        var e = Assert.Throws<BackupException>(() => ManifestFormat.Read(manifest, Id));
        Assert.StartsWith($"the manifest of set {Id} can't be used: ", e.Message, StringComparison.Ordinal);
        Assert.Contains(how, e.Message, StringComparison.Ordinal);
        AssertFit(e);
    }

    // Fit to be shown: no line ends and nothing that steers a terminal, and not without end.
    private static void AssertFit(BackupException e)
    {
        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.DoesNotContain(e.Message, char.IsControl);
        Assert.InRange(e.Message.Length, 1, 1000);
    }
}
