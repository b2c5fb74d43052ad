using System.Text;
using SoundHash.Backup.Backups.Physical;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Backups;

/// <summary>What pg_basebackup streams is taken only when it is what the server says that it sent, all of it.</summary>
public sealed class ServerManifestTests
{
    private const string Label = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nSTART TIMELINE: 1\n";

    private static readonly byte[] Control = [1, 2, 3];
    private static readonly StoredFile Table = new("base/1/1259", 3, TestSets.Noon, Crc32C.Of([4, 5, 6]), string.Empty, "volume");

    [Fact]
    public void What_came_as_it_was_sent_ends_where_the_manifest_says()
    {
        var end = Check([Table], Control);

        Assert.Equal((1u, "0/2000028", "0/2000100"), (end.Timeline, end.Start.ToString(), end.Stop.ToString()));
    }

    [Fact]
    public void A_damaged_control_file_a_changed_file_and_one_that_did_not_come_are_errors()
    {
        AssertRefused("global/pg_control came", [Table], [1, 2, 4]);
        AssertRefused("base/1/1259 came", [Table with { Crc = 7 }], Control);
        AssertRefused("base/1/1259 did not come", [], Control);
        AssertRefused("base/1/1 came", [Table, Table with { Path = "base/1/1" }], Control);
    }

    private static void AssertRefused(string how, IReadOnlyList<StoredFile> files, byte[] control)
    {
        var e = Assert.Throws<BackupException>(() => Check(files, control));
        Assert.Equal(ErrorKind.ChildFailed, e.Kind);
        Assert.Contains(how, e.Message, StringComparison.Ordinal);
    }

    private static BackupEnd Check(IReadOnlyList<StoredFile> files, byte[] control)
    {
        var label = Encoding.UTF8.GetBytes(Label);
        var sent = string.Join(',', Of("backup_label", label), Of("global/pg_control", Control), Of("base/1/1259", [4, 5, 6]));
        var manifest = $$"""
            {"PostgreSQL-Backup-Manifest-Version": 1, "Files": [{{sent}}],
             "WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100"}]}
            """;
        var small = new Dictionary<string, byte[]> { ["backup_label"] = label, ["global/pg_control"] = control };
        return ServerManifest.Check(Encoding.UTF8.GetBytes(manifest), files, small);
    }

    private static string Of(string path, byte[] bytes) =>
        $$"""{"Path": "{{path}}", "Size": {{bytes.Length}}, "Checksum-Algorithm": "CRC32C", "Checksum": "{{Crc32C.Text(Crc32C.Of(bytes))}}"}""";
}
