using Serilog.Events;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>
/// Root works in folders that belong to others, who can put anything there: nothing outside is written to or removed for that.
/// </summary>
public sealed class HostileFolderTests : IAsyncLifetime
{
    private readonly RecordingLog _log = new();
    private RepositoryFixture _repository = null!;

    public async ValueTask InitializeAsync()
    {
        _repository = await RepositoryFixture.OpenAsync();
        await AddAsync("newest", 0);
        await AddAsync("old", 31);
    }

    public ValueTask DisposeAsync() => _repository.DisposeAsync();

    [Fact]
    public async Task What_a_link_in_a_set_leads_to_stays_when_the_set_goes()
    {
        using var outside = new TempFolder();
        foreach (var name in (string[])["passwd", "below/group", ".writing-1"])
        {
            File.SetLastWriteTimeUtc(outside.Write(name, "theirs"), TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(-9));
        }

        Directory.SetLastWriteTimeUtc(outside.Path, TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(-9));
        await AddAsync("recent", 29);
        using var expire = await _repository.TakeLockAsync("expire");
        var leftover = await _repository.BeginAsync();
        _repository.MakeOlder(leftover.Id, TimeSpan.FromDays(2));
        foreach (var id in (string[])["old", "recent", leftover.Id])
        {
            Directory.CreateSymbolicLink(Path.Combine(_repository.Folder, "sets", id, "d"), outside.Path);
        }

        await ExpireAsync(expire);

        Assert.Equal([".writing-1", "below/group", "passwd"], outside.Files());
        Assert.Equal(["newest", "recent"], Sets());
    }

    [Fact]
    public async Task A_folder_that_somebody_put_into_a_set_stays_when_the_set_goes_and_is_named()
    {
        var theirs = Path.Combine(_repository.Folder, "sets", "old", "mine", "notes.txt");
        Directory.CreateDirectory(Path.GetDirectoryName(theirs)!);
        await File.WriteAllTextAsync(theirs, "precious", Cancel);

        await ExpireAsync(_repository.Held);

        Assert.Equal("precious", await File.ReadAllTextAsync(theirs, Cancel));
        Assert.Equal(["mine"], Directory.EnumerateFileSystemEntries(Path.Combine(_repository.Folder, "sets", "old")).Select(Path.GetFileName));
        Assert.Contains("sets/old/mine/notes.txt", Assert.Single(_log.Messages(LogEventLevel.Warning)), StringComparison.Ordinal);
    }

    // Root locks in directories of others, who could put anything there.
    [Theory(Timeout = HangLimit)]
    [InlineData("ln -s ../precious")]
    [InlineData("ln -s /nowhere/at/all")]
    [InlineData("mkfifo")]
    [InlineData("mkdir")]
    public async Task What_stands_in_place_of_a_lock_file_is_neither_written_to_nor_waited_for(string make)
    {
        string name;
        using (var own = await _repository.TakeLockAsync("restore"))
        {
            name = own.Name;
        }

        await File.WriteAllTextAsync(State("precious"), "theirs", Cancel);
        File.Delete(State($"locks/{name}.lock"));
        await Programs.RunAsync("/bin/sh", ["-c", $"cd '{State("locks")}' && {make} {name}.lock"]);

        var e = await Assert.ThrowsAsync<BackupException>(() => _repository.TakeLockAsync("restore"));

        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.Contains(State($"locks/{name}.lock"), e.Message, StringComparison.Ordinal);
        Assert.Equal("theirs", await File.ReadAllTextAsync(State("precious"), Cancel));
    }

    // It gets into the intents of sets, which others may read.
    [Fact]
    public async Task A_link_in_place_of_the_identity_gives_nothing_away()
    {
        await File.WriteAllTextAsync(State("secret"), "root:topsecret", Cancel);
        File.Delete(State("instance"));
        File.CreateSymbolicLink(State("instance"), "secret");

        var e = await Assert.ThrowsAsync<BackupException>(() => _repository.TakeLockAsync("restore"));

        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.DoesNotContain("topsecret", e.Message, StringComparison.Ordinal);
    }

    private string State(string name) => Path.Combine(_repository.StateDirectory, name);

    private Task<IReadOnlyList<RetentionDecision>> ExpireAsync(RunLock held) =>
        new Expiry(
            _repository.Store,
            new SetVerifier(_repository.Store, Children.Launcher, new TransferMeter(TimeProvider.System)),
            2,
            TimeProvider.System,
            _log.Log)
            .RunAsync(new RetentionDays(30, 90, 365), held, false, Cancel);

    private Task<Manifest> AddAsync(string id, int daysOld) =>
        _repository.Store.AddSetAsync(TestSets.Manifest(id, TimeProvider.System.GetUtcNow().AddDays(-daysOld)));

    private List<string> Sets() => Directory.EnumerateDirectories(Path.Combine(_repository.Folder, "sets"))
        .Select(static d => Path.GetFileName(d)!).Order(StringComparer.Ordinal).ToList();
}
