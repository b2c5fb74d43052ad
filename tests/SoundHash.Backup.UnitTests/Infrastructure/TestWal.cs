using System.Buffers.Binary;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>WAL of a cluster that never was: segments of 1 MiB with a proper header.</summary>
internal static class TestWal
{
    public const ulong System = 7300000000000000001;

    public const int SegmentBytes = 1 << 20;

    public static WalSegment Segment(uint timeline, ulong number) => new(timeline, number, SegmentBytes);

    public static Lsn At(ulong number, ulong offset = 0) => new((number * SegmentBytes) + offset);

    public static WalFileName Name(string name) => WalFileName.Parse(name);

    public static WalEntry Entry(string name, DateTimeOffset? stored = null, bool hasSum = true) =>
        new(Name(name), 1000, stored ?? TestSets.Noon, hasSum);

    /// <summary>Entries of consecutive segments, each stored a minute after the one before.</summary>
    public static IEnumerable<WalEntry> Entries(uint timeline, ulong first, ulong last)
    {
        for (var number = first; number <= last; number++)
        {
            yield return Entry(Segment(timeline, number).Name, TestSets.Noon.AddMinutes(number));
        }
    }

    public static TimelineHistory History(uint timeline, params (uint Timeline, Lsn End)[] ancestors) =>
        new(timeline, ancestors.Select(static a => new TimelineSwitch(a.Timeline, a.End, "test")).ToList());

    public static PhysicalFacts Facts(uint timeline, Lsn start, Lsn stop) => new()
    {
        Timeline = timeline,
        StartLsn = start.ToString(),
        StopLsn = stop.ToString(),
        WalSegmentBytes = SegmentBytes,
        StartNextXid = 1,
        StopNextXid = 2,
        PageChecksums = true,
        Files = 1,
    };

    public static Manifest Physical(string id, PhysicalFacts facts, DateTimeOffset started) =>
        TestSets.Manifest(id, started, string.Empty) with
        {
            Kind = SetKind.Physical,
            DumpVersion = string.Empty,
            Physical = facts,
        };

    /// <summary>The bytes of a segment: a header that says what its name says, then a filler.</summary>
    public static byte[] Bytes(WalSegment segment, ulong system = System, uint? timeline = null, byte filler = 0)
    {
        var bytes = new byte[segment.SizeBytes];
        bytes.AsSpan(WalHeader.Bytes).Fill(filler);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, 0xD110);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), 0x0002);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), timeline ?? segment.Timeline);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), segment.Start.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), system);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(32), (uint)segment.SizeBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(36), 8192);
        return bytes;
    }

    /// <summary>Archives bytes under a name.</summary>
    public static async Task<WalPutResult> PutAsync(
        this WalArchive archive, TempFolder folder, string name, byte[] bytes, Seal? seal = null, Action? beforeCommit = null)
    {
        await File.WriteAllBytesAsync(folder[name], bytes, TestRun.Cancel);
        var source = await WalSource.ReadAsync(Name(name), folder[name], TestRun.Cancel);
        return await archive.PutAsync(source, seal ?? RepositoryFixture.Plain, beforeCommit, TestRun.Cancel);
    }
}
