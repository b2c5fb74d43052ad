using Serilog.Core;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>What a killed run leaves is removed: at once by the next run of the same lock, by others after a day.</summary>
public sealed class LeftoverTests : IAsyncLifetime
{
    private static readonly TimeSpan JustUnderADay = TimeSpan.FromHours(23.9);
    private static readonly TimeSpan MoreThanADay = TimeSpan.FromHours(24.1);

    private RepositoryFixture _repository = null!;

    public async ValueTask InitializeAsync() => _repository = await RepositoryFixture.OpenAsync();

    public ValueTask DisposeAsync() => _repository.DisposeAsync();

    [Fact]
    public async Task The_next_run_of_the_same_lock_removes_it_at_once_with_files_that_were_half_written()
    {
        await KillAsync(_repository.Held);
        await _repository.NextRunAsync();

        await RemoveAsync(_repository.Held);

        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task Another_lock_leaves_it_for_a_day()
    {
        using var expire = await _repository.TakeLockAsync("expire");
        var id = await KillAsync(_repository.Held);
        _repository.MakeOlder(id, JustUnderADay);

        await RemoveAsync(expire);
        Assert.Equal(3, _repository.Files().Count);

        _repository.MakeOlder(id, MoreThanADay);
        await RemoveAsync(expire);
        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task The_same_lock_of_another_machine_leaves_it_for_a_day()
    {
        using var elsewhere = new TempFolder();
        using var theirs = await RunLock.TakeAsync(elsewhere.Path, "backup", "soundhash", TimeSpan.Zero, TimeProvider.System, Cancel);
        await KillAsync(_repository.Held);

        await RemoveAsync(theirs);

        Assert.Equal(theirs.Name, _repository.Held.Name);
        Assert.Equal(3, _repository.Files().Count);
    }

    // A state directory that was copied with its identity, or that several machines share.
    [Fact]
    public async Task The_same_lock_of_the_same_state_directory_on_another_host_leaves_it_for_a_day()
    {
        var id = await KillAsync(_repository.Held);
        var path = Path.Combine(_repository.Folder, "sets", id, "intent.json");
        var intent = await File.ReadAllTextAsync(path, Cancel);
        Assert.Contains($"\"{Environment.MachineName}\"", intent, StringComparison.Ordinal);
        await File.WriteAllTextAsync(
            path,
            intent.Replace($"\"{Environment.MachineName}\"", "\"elsewhere\"", StringComparison.Ordinal),
            Cancel);
        await _repository.NextRunAsync();

        await RemoveAsync(_repository.Held);
        Assert.Equal(3, _repository.Files().Count);

        _repository.MakeOlder(id, MoreThanADay);
        await RemoveAsync(_repository.Held);
        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task A_set_that_is_committed_after_it_was_listed_is_no_leftover()
    {
        using var expire = await _repository.TakeLockAsync("expire");
        await using var writer = await _repository.BeginAsync();
        var record = await _repository.WriteObjectAsync(writer, "database.dump", "dump");
        _repository.MakeOlder(writer.Id, TimeSpan.FromDays(3));
        var listed = await _repository.Store.CatalogueAsync();
        await writer.CommitAsync(TestSets.Manifest(writer.Id, null, "soundhash", record), Cancel);

        await new RepositoryGuard(
            _repository.Store,
            TimeProvider.System,
            Logger.None).RemoveLeftoversAsync(listed, expire, dryRun: false, Cancel);

        Assert.True(Assert.Single((await _repository.Store.CatalogueAsync()).Sets).IsComplete);
    }

    [Fact]
    public async Task A_writer_that_refreshes_its_intent_is_left_alone_however_long_it_takes()
    {
        using var expire = await _repository.TakeLockAsync("expire");
        await using var writer = await _repository.BeginAsync();
        await _repository.WriteObjectAsync(writer, "database.dump", "dump");
        _repository.MakeOlder(writer.Id, TimeSpan.FromDays(3));

        await writer.RefreshIntentAsync(Cancel);
        await RemoveAsync(expire);

        Assert.Equal(2, _repository.Files().Count);
    }

    // Reading sets back before others are removed may take longer than the age that makes a leftover.
    [Fact]
    public async Task A_writer_that_has_refreshed_its_intent_since_it_was_listed_is_left_alone()
    {
        using var expire = await _repository.TakeLockAsync("expire");
        await using var writer = await _repository.BeginAsync();
        await _repository.WriteObjectAsync(writer, "database.dump", "dump");
        _repository.MakeOlder(writer.Id, TimeSpan.FromDays(3));
        var listed = await _repository.Store.CatalogueAsync();
        await writer.RefreshIntentAsync(Cancel);

        await new RepositoryGuard(_repository.Store, TimeProvider.System, Logger.None).RemoveLeftoversAsync(listed, expire, dryRun: false, Cancel);

        Assert.Equal(2, _repository.Files().Count);
    }

    [Fact]
    public async Task A_dry_run_removes_nothing_and_says_what_it_would()
    {
        var id = await KillAsync(_repository.Held);
        await _repository.NextRunAsync();
        var log = new RecordingLog();

        await new RepositoryGuard(_repository.Store, TimeProvider.System, log.Log)
            .RemoveLeftoversAsync(await _repository.Store.CatalogueAsync(), _repository.Held, dryRun: true, Cancel);

        Assert.Equal(3, _repository.Files().Count);
        Assert.Contains(id, Assert.Single(log.Messages(Serilog.Events.LogEventLevel.Information)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{\"instance\": null}")]
    public async Task A_damaged_intent_says_nothing_so_that_only_age_counts(string text)
    {
        var id = await KillAsync(_repository.Held);
        await File.WriteAllTextAsync(Path.Combine(_repository.Folder, "sets", id, "intent.json"), text, Cancel);
        await _repository.NextRunAsync();

        await RemoveAsync(_repository.Held);
        Assert.Equal(3, _repository.Files().Count);

        _repository.MakeOlder(id, MoreThanADay);
        await RemoveAsync(_repository.Held);
        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task A_set_whose_writer_was_killed_right_after_the_commit_is_a_set()
    {
        var writer = await _repository.BeginAsync();
        var record = await _repository.WriteObjectAsync(writer, "database.dump", "dump");
        var intent = Path.Combine(_repository.Folder, "sets", writer.Id, "intent.json");
        var bytes = await File.ReadAllBytesAsync(intent, Cancel);
        await writer.CommitAsync(TestSets.Manifest(writer.Id, null, "soundhash", record), Cancel);
        await File.WriteAllBytesAsync(intent, bytes, Cancel);
        _repository.MakeOlder(writer.Id, TimeSpan.FromDays(3));
        await _repository.NextRunAsync();

        await RemoveAsync(_repository.Held);

        Assert.True(Assert.Single((await _repository.Store.CatalogueAsync()).Sets).IsComplete);
    }

    [Fact]
    public async Task A_removal_that_was_killed_in_the_middle_is_finished_by_the_next_run()
    {
        await _repository.Store.AddSetAsync(TestSets.Manifest("old"));
        await SetRemoval.BeginAsync(_repository.Store, "old", _repository.Held, TimeProvider.System, Cancel);
        await _repository.Store.DeleteAsync("sets/old/manifest.json", Cancel);

        await RemoveAsync(_repository.Held);

        Assert.Empty(_repository.Files());
    }

    /// <summary>Somebody copies an old set here file by file, or its manifest alone was lost: what is there may be all that there is.</summary>
    [Fact]
    public async Task A_folder_that_no_run_left_without_a_manifest_is_kept_however_old_and_said()
    {
        await _repository.Store.AddSetAsync(TestSets.Manifest("copied"));
        await _repository.Store.DeleteAsync("sets/copied/manifest.json", Cancel);
        _repository.MakeOlder("copied", TimeSpan.FromDays(400));
        var before = _repository.Files();
        var log = new RecordingLog();

        await new RepositoryGuard(_repository.Store, TimeProvider.System, log.Log)
            .RemoveLeftoversAsync(await _repository.Store.CatalogueAsync(), _repository.Held, dryRun: false, Cancel);

        Assert.Equal(before, _repository.Files());
        Assert.Contains("sets/copied has no manifest", Assert.Single(log.Messages(Serilog.Events.LogEventLevel.Warning)), StringComparison.Ordinal);
    }

    // A writer that is never disposed of is what a kill leaves: intent, a whole object, a half written file.
    private async Task<string> KillAsync(RunLock held)
    {
        var writer = await _repository.BeginAsync(held);
        await _repository.WriteObjectAsync(writer, "globals.sql", "roles");
        var half = await writer.CreateAsync("database.dump", ObjectRole.Dump, Cancel);
        await half.WriteAsync("half a dump"u8.ToArray(), Cancel);
        Assert.Equal(3, _repository.Files().Count);
        return writer.Id;
    }

    private async Task RemoveAsync(RunLock held) =>
        await new RepositoryGuard(_repository.Store, TimeProvider.System, Logger.None)
            .RemoveLeftoversAsync(await _repository.Store.CatalogueAsync(), held, dryRun: false, Cancel);
}
