using System.Globalization;
using System.Text;
using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>A repository belongs to the clusters that it knows, and its order of sets can be trusted.</summary>
public sealed class RepositoryGuardTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly LocalObjectStore _store;
    private readonly RepositoryGuard _guard;

    public RepositoryGuardTests()
    {
        _store = new LocalObjectStore(_folder.Path);
        _guard = new RepositoryGuard(_store, new FakeTime(), Logger.None);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_first_cluster_is_taken_and_then_known()
    {
        await _guard.AdmitAsync("1", allowNew: false, Cancel);
        await _guard.AdmitAsync("1", allowNew: false, Cancel);

        var record = await RecordAsync();
        Assert.Equal(("1", 1), (Assert.Single(record.Systems).SystemIdentifier, record.FormatVersion));
    }

    [Fact]
    public async Task Another_cluster_is_refused_with_what_to_do()
    {
        await _guard.AdmitAsync("1", allowNew: false, Cancel);

        var e = await Assert.ThrowsAsync<BackupException>(() => _guard.AdmitAsync("2", allowNew: false, Cancel));

        Assert.Equal(ErrorKind.Configuration, e.Kind);
        Assert.Equal("this repository holds backups of system identifier 1, and the server is 2", e.Message);
        Assert.Contains("--new-system", e.Hint, StringComparison.Ordinal);
        Assert.Single((await RecordAsync()).Systems);
    }

    [Fact]
    public async Task A_further_cluster_is_taken_when_a_person_says_so_and_the_old_one_stays_known()
    {
        await _guard.AdmitAsync("1", allowNew: false, Cancel);
        await _guard.AdmitAsync("2", allowNew: true, Cancel);

        await _guard.AdmitAsync("1", allowNew: false, Cancel);
        await _guard.AdmitAsync("2", allowNew: false, Cancel);

        Assert.Equal(["1", "2"], (await RecordAsync()).Systems.Select(static s => s.SystemIdentifier));
    }

    [Fact]
    public async Task A_server_that_does_not_tell_its_identifier_is_let_in_and_leaves_the_place_to_one_that_does()
    {
        await _guard.AdmitAsync(null, allowNew: false, Cancel);
        await _guard.AdmitAsync("1", allowNew: false, Cancel);
        await _guard.AdmitAsync(null, allowNew: false, Cancel);

        await Assert.ThrowsAsync<BackupException>(() => _guard.AdmitAsync("2", allowNew: false, Cancel));
    }

    [Fact]
    public async Task A_repository_of_a_newer_format_is_not_written_to()
    {
        await WriteAsync("""{"formatVersion": 2, "created": "2026-11-22T00:00:00Z", "systems": []}""");

        var e = await Assert.ThrowsAsync<BackupException>(() => _guard.AdmitAsync("1", allowNew: true, Cancel));

        Assert.Equal(ErrorKind.Configuration, e.Kind);
        Assert.Contains("format version 2", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("""{"formatVersion": 1, "created": "2026-11-22T00:00:00Z", "systems": null}""")]
    public async Task A_damaged_description_is_refused_and_never_written_anew(string text)
    {
        await WriteAsync(text);

        var e = await Assert.ThrowsAsync<BackupException>(() => _guard.AdmitAsync("1", allowNew: true, Cancel));

        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.Equal(text, await File.ReadAllTextAsync(_folder["repository.json"], Cancel));
    }

    [Fact]
    public async Task Two_first_backups_at_once_are_both_let_in()
    {
        var store = new WatchedStore(_store);
        store.BeforeWrite = async _ =>
        {
            store.BeforeWrite = static _ => Task.CompletedTask;
            await _guard.AdmitAsync("1", allowNew: false, Cancel);
        };

        await new RepositoryGuard(store, new FakeTime(), Logger.None).AdmitAsync("1", allowNew: false, Cancel);

        Assert.Equal("1", Assert.Single((await RecordAsync()).Systems).SystemIdentifier);
    }

    [Fact]
    public async Task Two_first_backups_of_different_clusters_are_not_both_let_in()
    {
        var store = new WatchedStore(_store);
        store.BeforeWrite = async _ =>
        {
            store.BeforeWrite = static _ => Task.CompletedTask;
            await _guard.AdmitAsync("1", allowNew: false, Cancel);
        };

        await Assert.ThrowsAsync<BackupException>(
            () => new RepositoryGuard(store, new FakeTime(), Logger.None).AdmitAsync("2", allowNew: false, Cancel));
    }

    [Fact]
    public async Task A_clock_that_went_backwards_is_refused_for_the_database_that_it_concerns()
    {
        await _store.AddSetAsync(TestSets.Manifest("old", TestSets.Noon.AddDays(-1)));
        await _store.AddSetAsync(TestSets.Manifest("newest", TestSets.Noon));
        var catalogue = await _store.CatalogueAsync();

        RepositoryGuard.EnsureClockMovesOn(catalogue, SetKind.Logical, "soundhash", TestSets.Noon);
        RepositoryGuard.EnsureClockMovesOn(catalogue, SetKind.Logical, "other", TestSets.Noon.AddDays(-100));
        var e = Assert.Throws<BackupException>(
            () => RepositoryGuard.EnsureClockMovesOn(catalogue, SetKind.Logical, "soundhash", TestSets.Noon.AddSeconds(-1)));

        Assert.Equal(ErrorKind.Failed, e.Kind);
        Assert.Contains("set newest started at 2026-11-22 12:00:00Z: a clock went backwards", e.Message, StringComparison.Ordinal);
    }

    private async Task<RepositoryRecord> RecordAsync() =>
        (await _store.ReadJsonAsync(RepositoryLayout.RepositoryFile, RepositoryJson.Default.RepositoryRecord, Cancel))!;

    private Task WriteAsync(string text) => _store.WriteAsync("repository.json", Encoding.UTF8.GetBytes(text), WriteMode.CreateNew, Cancel);

    /// <summary>A set that stopped before it started would be refused by every reader, and stop every choice of the newest one.</summary>
    [Theory]
    [InlineData("2026-11-22T02:00:00Z", "2026-11-22T01:59:59Z", "it went backwards")]
    [InlineData("1999-12-31T23:59:59Z", "2026-11-22T02:00:00Z", "it is wrong")]
    [InlineData("2026-11-22T02:00:00Z", "3000-01-01T00:00:01Z", "it is wrong")]
    public void A_clock_that_goes_backwards_during_the_backup_fails_it(string started, string stopped, string how)
    {
        var e = Assert.Throws<BackupException>(() => RepositoryGuard.EnsureClockMovedOn(
            DateTimeOffset.Parse(started, CultureInfo.InvariantCulture), DateTimeOffset.Parse(stopped, CultureInfo.InvariantCulture)));

        Assert.Contains(how, e.Message, StringComparison.Ordinal);
        Assert.Contains("correct the clock", e.Hint, StringComparison.Ordinal);
    }
}
