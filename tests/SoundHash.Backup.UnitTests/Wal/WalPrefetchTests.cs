using Serilog.Core;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>Segments that are fetched ahead lie where the restore_command of this run of the machine looks, and nothing else does.</summary>
public sealed class WalPrefetchTests : IDisposable
{
    private readonly TempFolder _archive = new();
    private readonly TempFolder _files = new();
    private readonly TempFolder _spools = new();
    private readonly TempFolder _data = new();

    [Fact]
    public async Task What_a_killed_prefetch_and_other_runs_of_the_machine_left_is_removed()
    {
        var spool = WalSpool.Of(_spools.Path, TestWal.System, _data.Path);
        var (segment, prefetch) = await PrefetchAsync(spool);
        string[] left =
        [
            Path.Combine(spool.FetchedFolder, $"{AtomicFile.TemporaryPrefix}{segment.Next.Name}-1"), Path.Combine(spool.FetchedFolder, segment.Next.Name),
            Path.Combine(spool.FetchFolder, "an-earlier-run", segment.Next.Name), Path.Combine(spool.FetchFolder, segment.Next.Name),
        ];
        foreach (var path in left)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllTextAsync(path, "torn", TestRun.Cancel);
        }

        await prefetch.RunAsync(segment, _data.Path, TestRun.Cancel);

        Assert.All(left, static p => Assert.False(File.Exists(p), p));
        Assert.Equal([spool.FetchedFolder], Directory.GetDirectories(spool.FetchFolder));
    }

    [Fact]
    public async Task What_is_fetched_ahead_is_whole_and_for_its_owner_alone()
    {
        const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        var spool = WalSpool.Of(Path.Combine(_spools.Path, "deep", "spool"), TestWal.System, _data.Path);
        var (segment, prefetch) = await PrefetchAsync(spool, archived: 1);
        var running = prefetch.RunAsync(segment, _data.Path, TestRun.Cancel);
        var path = Path.Combine(spool.FetchedFolder, segment.Next.Name);

        while (!File.Exists(path))
        {
            await Task.WhenAny(running, Task.Delay(1, TestRun.Cancel));
            Assert.False(running.IsCompleted, "it ended before it fetched anything");
        }

        var bytes = await File.ReadAllBytesAsync(path, TestRun.Cancel);
        File.Move(path, _files["taken"]);
        await running;
        Assert.Equal(TestWal.Bytes(segment.Next), bytes);
        foreach (var folder in (string[])[spool.FetchedFolder, spool.FetchFolder, spool.Folder, Path.Combine(_spools.Path, "deep", "spool")])
        {
            Assert.Equal(Owner, File.GetUnixFileMode(folder));
        }
    }

    public void Dispose()
    {
        _archive.Dispose();
        _files.Dispose();
        _spools.Dispose();
        _data.Dispose();
    }

    // A server that runs, and an archive with so many segments behind the one that it asked for.
    private async Task<(WalSegment Asked, WalPrefetch Prefetch)> PrefetchAsync(WalSpool spool, int archived = 0)
    {
        var archive = new WalArchive(new LocalObjectStore(_archive.Path), TestWal.System);
        var asked = TestWal.Segment(1, 5);
        await archive.AdmitAsync(false, TestSets.Noon, TestRun.Cancel);
        for (var segment = asked.Next; segment.Number <= asked.Number + (ulong)archived; segment = segment.Next)
        {
            await archive.PutAsync(_files, segment.Name, TestWal.Bytes(segment));
        }

        await File.WriteAllTextAsync(_data["postmaster.pid"], "1", TestRun.Cancel);
        spool.Make();
        Assert.True(WalPrefetch.AnnounceAsked(spool, WalFileName.Parse(asked.Name)));
        var fetch = new WalFetch([archive], static _ => throw new InvalidOperationException("nothing is encrypted"), TimeProvider.System, Logger.None);
        return (asked, new WalPrefetch(fetch, spool, 2, TimeProvider.System));
    }
}
