using System.Buffers.Binary;
using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage.Local;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.UnitTests.Wal;

/// <summary>One push of a data directory at a time: the next one waits, and not for ever.</summary>
public sealed class WalPushLockTests : IDisposable
{
    private static readonly TimeSpan Wait = TimeSpan.FromMinutes(1);

    private readonly TempFolder _data = new();
    private readonly TempFolder _archive = new();
    private readonly TempFolder _spool = new();
    private readonly FakeTime _time = new();
    private readonly WalSegment _segment = TestWal.Segment(1, 5);

    public WalPushLockTests()
    {
        Directory.CreateDirectory(_data["global"]);
        Directory.CreateDirectory(_data["pg_wal/archive_status"]);
        var control = new byte[8192];
        BinaryPrimitives.WriteUInt64LittleEndian(control, TestWal.System);
        File.WriteAllBytes(_data[ControlFile.RelativePath], control);
        File.WriteAllBytes(_data[$"pg_wal/{_segment.Name}"], TestWal.Bytes(_segment));
        File.WriteAllBytes(_data[$"pg_wal/archive_status/{_segment.Name}.ready"], []);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_push_that_waits_for_another_one_goes_on_when_that_is_done()
    {
        var other = await OtherAsync();
        var push = PushAsync();
        await Task.WhenAny(_time.UntilSomebodyWaitsAsync(), push);
        Assert.False(push.IsCompleted, "it went on beside the other one");
        Assert.Empty(_archive.Files());

        other.Dispose();
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(WalPutResult.Stored, (await push).Result);
        Assert.Contains($"{TestWal.System}/00000001/{_segment.Name}", _archive.Files());
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_push_that_waited_in_vain_says_who_is_at_work_and_has_archived_nothing()
    {
        using var other = await OtherAsync();
        var push = PushAsync();
        await Task.WhenAny(_time.UntilSomebodyWaitsAsync(), push);

        _time.Advance(Wait);

        var error = await Assert.ThrowsAsync<BackupException>(() => push);
        Assert.Equal(ErrorKind.Locked, error.Kind);
        Assert.Contains($"another wal-archive push is running (pid {Environment.ProcessId} ", error.Message, StringComparison.Ordinal);
        Assert.Empty(_archive.Files());
    }

    [Fact(Timeout = HangLimit)]
    public async Task Data_directories_of_one_cluster_on_one_machine_do_not_wait_for_each_other()
    {
        using var other = await OtherAsync(Path.Combine(_data.Path, "copy"));

        var push = PushAsync();
        await Task.WhenAny(_time.UntilSomebodyWaitsAsync(), push);

        Assert.True(push.IsCompletedSuccessfully, "it waits for the push of another data directory");
    }

    public void Dispose()
    {
        _data.Dispose();
        _archive.Dispose();
        _spool.Dispose();
    }

    private Task<RunLock> OtherAsync(string? data = null)
    {
        var spool = WalSpool.Of(_spool.Path, TestWal.System, data ?? RealPath.Of(_data.Path));
        return RunLock.TakeAsync(spool.Folder, "wal-archive push", null, TimeSpan.Zero, _time, Cancel);
    }

    private Task<WalPushOutcome> PushAsync()
    {
        var settings = new WalPushSettings([("BACKUP_WAL_DIR", _archive.Path)], 1, _spool.Path, 1, Wait);
        var push = new WalPush([new LocalObjectStore(_archive.Path)], RepositoryFixture.Plain, settings, _time, Logger.None);
        return push.RunAsync(_data[$"pg_wal/{_segment.Name}"], null, Cancel);
    }
}
