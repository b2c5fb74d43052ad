using SoundHash.Backup.Encryption;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>A data directory that is recovered from an archive, and what it is answered.</summary>
internal sealed class RecoveringData : IDisposable
{
    private readonly TempFolder _archive = new();
    private readonly TempFolder _files = new();
    private readonly Random _random = TestRun.NewRandom();
    private readonly WalFetchAnswer _answer;

    public RecoveringData()
    {
        Store = new WatchedStore(new LocalObjectStore(_archive.Path));
        Archive = new WalArchive(Store, ReceivedWal.System);
        _answer = new WalFetchAnswer(
            new WalFetch([Archive], NoKey, Time, Log.Log),
            new WalFetchPieces(Store, Archive, NoKey, Log.Log),
            new WalFetchGap(Archive, NoKey, Log.Log),
            Time,
            Log.Log);
        Directory.CreateDirectory(Folder["pg_wal"]);
        File.WriteAllText(Folder["recovery.signal"], string.Empty);
    }

    public TempFolder Folder { get; } = new();

    public WatchedStore Store { get; }

    public WalArchive Archive { get; }

    public FakeTime Time { get; } = new();

    public RecordingLog Log { get; } = new();

    /// <summary>What PostgreSQL gets.</summary>
    public string Fetched => Folder["pg_wal/RECOVERYXLOG"];

    /// <summary>Archives a segment.</summary>
    public Task ArchiveAsync(WalSegment segment, byte[]? bytes = null) =>
        Archive.PutAsync(_files, segment.Name, bytes ?? ReceivedWal.Bytes(segment, _random));

    /// <summary>Stores a piece of a segment.</summary>
    public async Task<WalPiece> StoreAsync(WalSegment segment, byte[] bytes, int from, int to)
    {
        var piece = new WalPiece(ReceivedWal.Name(segment), from, to);
        await new WalPieces(Store, ReceivedWal.System).PutAsync(piece, bytes.AsMemory(from, to - from), RepositoryFixture.Plain, TestRun.Cancel);
        return piece;
    }

    /// <summary>Fetches as PostgreSQL does. One that waits for a clock that nobody moves ends too.</summary>
    public Task<WalFetched> FetchAsync(WalSegment segment) => _answer
        .RunAsync(ReceivedWal.Name(segment), new DataDirectory(Folder.Path, ReceivedWal.System), Fetched, TestRun.Cancel)
        .WaitAsync(TimeSpan.FromSeconds(30), TestRun.Cancel);

    /// <summary>As <see cref="FetchAsync"/>, while the clock moves.</summary>
    public async Task<WalFetched> FetchInTimeAsync(WalSegment segment)
    {
        var running = FetchAsync(segment);
        while (await Task.WhenAny(running, Time.UntilSomebodyWaitsAsync()) != running)
        {
            Time.Advance(TimeSpan.FromSeconds(1));
        }

        return await running;
    }

    public void Dispose()
    {
        _archive.Dispose();
        _files.Dispose();
        Folder.Dispose();
    }

    private static IEncryptionProvider NoKey(EncryptionMethod method) => throw new InvalidOperationException($"nothing is encrypted with {method}");
}
