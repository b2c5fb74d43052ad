using System.Text;
using Serilog.Core;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>A repository on the disk with the lock that a backup holds.</summary>
internal sealed class RepositoryFixture : IAsyncDisposable
{
    private readonly TempFolder _folder;
    private readonly TempFolder _state = new();

    private RepositoryFixture(TempFolder folder)
    {
        _folder = folder;
        Store = new LocalObjectStore(folder.Path);
    }

    public LocalObjectStore Store { get; }

    public string Folder => _folder.Path;

    public string StateDirectory => _state.Path;

    public RunLock Held { get; private set; } = null!;

    public static async Task<RepositoryFixture> OpenAsync()
    {
        var fixture = new RepositoryFixture(new TempFolder());
        fixture.Held = await fixture.TakeLockAsync("backup");
        return fixture;
    }

    public static Seal Plain { get; } = new(new Compression(CompressionMethod.None, 0, 0), null, []);

    public IReadOnlyList<string> Files() => _folder.Files();

    public Task<RunLock> TakeLockAsync(string verb) =>
        RunLock.TakeAsync(_state.Path, verb, "soundhash", TimeSpan.Zero, TimeProvider.System, TestRun.Cancel);

    /// <summary>Gives up the lock as a process that ends does, and takes it again as the next run does.</summary>
    public async Task NextRunAsync()
    {
        Held.Dispose();
        Held = await TakeLockAsync("backup");
    }

    public Task<SetWriter> BeginAsync() => BeginAsync(Held);

    public Task<SetWriter> BeginAsync(RunLock held, SetKind kind = SetKind.Logical) =>
        SetWriter.BeginAsync(
            StoreGroups.Of(Store), "soundhash_backup", held, Plain, TestSets.Keeping with { Kind = kind }, TimeProvider.System, Logger.None, TestRun.Cancel);

    public async Task<ObjectRecord> WriteObjectAsync(SetWriter writer, string name, string content)
    {
        await using var target = await writer.CreateAsync(name, ObjectRole.Dump, TestRun.Cancel);
        await target.WriteAllAsync(Encoding.UTF8.GetBytes(content));
        return target.Record;
    }

    /// <summary>Makes everything of a set look as if it had last been touched so long ago.</summary>
    public void MakeOlder(string id, TimeSpan age)
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Folder, "sets", id), "*", SearchOption.AllDirectories))
        {
            File.SetLastWriteTimeUtc(file, TimeProvider.System.GetUtcNow().UtcDateTime - age);
        }
    }

    public ValueTask DisposeAsync()
    {
        Held.Dispose();
        _folder.Dispose();
        _state.Dispose();
        return ValueTask.CompletedTask;
    }
}
