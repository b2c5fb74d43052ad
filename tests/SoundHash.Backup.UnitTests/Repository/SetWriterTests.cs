using Serilog.Core;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>A set exists exactly when its manifest does, and that comes last.</summary>
public sealed class SetWriterTests : IAsyncLifetime
{
    private RepositoryFixture _repository = null!;
    private RepositoryFixture _other = null!;

    public async ValueTask InitializeAsync() => (_repository, _other) = (await RepositoryFixture.OpenAsync(), await RepositoryFixture.OpenAsync());

    public async ValueTask DisposeAsync()
    {
        await _repository.DisposeAsync();
        await _other.DisposeAsync();
    }

    [Fact]
    public async Task A_committed_set_has_its_objects_sums_and_manifest_and_no_intent()
    {
        await using (var writer = await _repository.BeginAsync())
        {
            var record = await _repository.WriteObjectAsync(writer, "database.dump", "the dump");
            await writer.CommitAsync(Manifest(writer, record), Cancel);
        }

        Assert.Equal(
            ["sets/soundhash_backup_20261122_120000/SHA256SUMS", "sets/soundhash_backup_20261122_120000/database.dump", "sets/soundhash_backup_20261122_120000/manifest.json"],
            _repository.Files());
        var entry = Assert.Single((await _repository.Store.CatalogueAsync()).Sets);
        Assert.True(entry.IsComplete);
    }

    [Fact]
    public async Task The_sums_are_what_sha256sum_checks()
    {
        await using var writer = await _repository.BeginAsync();
        ObjectRecord[] records =
        [
            await _repository.WriteObjectAsync(
                writer,
                "globals.sql",
                "roles"), await _repository.WriteObjectAsync(writer, "database.dump", "dump"),
        ];
        await writer.CommitAsync(Manifest(writer, records), Cancel);

        var check = $"cd '{_repository.Folder}/sets/{writer.Id}' && sha256sum --strict -c SHA256SUMS";
        (await Programs.RunAsync("/bin/sh", ["-c", check])).Expect(0);
    }

    [Fact]
    public async Task Nothing_is_left_of_a_set_that_is_given_up()
    {
        await using (var writer = await _repository.BeginAsync())
        {
            await _repository.WriteObjectAsync(writer, "globals.sql", "roles");
            await using var half = await writer.CreateAsync("database.dump", ObjectRole.Dump, Cancel);
            await half.WriteAsync("half a dump"u8.ToArray(), Cancel);
            Assert.NotEmpty(_repository.Files());
        }

        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task A_set_is_not_there_before_it_is_committed()
    {
        await using var writer = await _repository.BeginAsync();
        await _repository.WriteObjectAsync(writer, "database.dump", "dump");

        var catalogue = await _repository.Store.CatalogueAsync();

        Assert.Empty(catalogue.Sets);
        Assert.Equal(writer.Id, Assert.Single(catalogue.Leftovers).Id);
    }

    [Theory]
    [InlineData("cut")]
    [InlineData("longer")]
    [InlineData("gone")]
    public async Task An_object_that_is_not_as_it_was_written_stops_the_commit(string damage)
    {
        await using (var writer = await _repository.BeginAsync())
        {
            var record = await _repository.WriteObjectAsync(writer, "database.dump", "the dump");
            var path = Path.Combine(_repository.Folder, "sets", writer.Id, record.Key);
            switch (damage)
            {
                case "gone":
                    File.Delete(path);
                    break;
                default:
                    await File.WriteAllTextAsync(path, damage == "cut" ? "the" : "the dump and more", Cancel);
                    break;
            }

            var e = await Assert.ThrowsAsync<StorageException>(() => writer.CommitAsync(Manifest(writer, record), Cancel));

            Assert.StartsWith(
                "object database.dump of set soundhash_backup_20261122_120000 was written with 8 bytes and is ",
                e.Message,
                StringComparison.Ordinal);
            Assert.Empty((await _repository.Store.CatalogueAsync()).Sets);
        }

        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task A_second_set_in_the_same_second_gets_an_id_of_its_own()
    {
        await using var first = await _repository.BeginAsync();
        await using var second = await _repository.BeginAsync();
        var record = await _repository.WriteObjectAsync(first, "database.dump", "dump");
        await first.CommitAsync(Manifest(first, record), Cancel);
        await using var third = await _repository.BeginAsync();

        Assert.Equal("soundhash_backup_20261122_120000", first.Id);
        Assert.Equal("soundhash_backup_20261122_120000_2", second.Id);
        Assert.Equal("soundhash_backup_20261122_120000_3", third.Id);
    }

    [Fact]
    public async Task Writers_that_begin_at_once_get_different_ids()
    {
        var writers = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => Task.Run(_repository.BeginAsync, Cancel)));

        Assert.Equal(12, writers.Select(static w => w.Id).Distinct().Count());
        foreach (var writer in writers)
        {
            await writer.DisposeAsync();
        }

        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task A_manifest_that_would_be_refused_is_never_written()
    {
        await using (var writer = await _repository.BeginAsync())
        {
            var record = await _repository.WriteObjectAsync(writer, "database.dump", "dump");
            var manifest = Manifest(writer, record);

            await Assert.ThrowsAsync<BackupException>(
                () => writer.CommitAsync(manifest with { Stopped = manifest.Started.AddSeconds(-1) }, Cancel));
        }

        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task Giving_up_one_set_touches_no_other()
    {
        await using var kept = await _repository.BeginAsync();
        var record = await _repository.WriteObjectAsync(kept, "database.dump", "dump");
        await using (await _repository.BeginAsync())
        {
            await kept.CommitAsync(Manifest(kept, record), Cancel);
        }

        Assert.True(Assert.Single((await _repository.Store.CatalogueAsync()).Sets).IsComplete);
    }

    [Fact]
    public async Task A_removed_set_stops_to_exist_before_it_stops_to_be_whole()
    {
        var store = new WatchedStore(_repository.Store);
        var manifest = await store.AddSetAsync(TestSets.Manifest("old"));
        await SetPin.SetAsync(store, "old", pinned: true, TimeProvider.System, Cancel);
        store.BeforeDelete = async key => Assert.Equal(
            key == "sets/old/manifest.json" ? 1 : 0, (await _repository.Store.CatalogueAsync()).Sets.Count);

        await SetRemoval.RemoveFolderAsync(store, "old", Logger.None, Cancel);

        Assert.Equal("sets/old/manifest.json", store.Deleted[0]);
        Assert.Contains($"sets/old/{manifest.Objects[0].Key}", store.Deleted);
        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task A_leftover_keeps_its_intent_until_the_rest_of_it_is_gone()
    {
        var store = new WatchedStore(_repository.Store);
        var writer = await _repository.BeginAsync();
        await _repository.WriteObjectAsync(writer, "z-last-by-name.dump", "dump");

        await SetRemoval.RemoveFolderAsync(store, writer.Id, Logger.None, Cancel);

        Assert.EndsWith("/intent.json", store.Deleted[^1], StringComparison.Ordinal);
        Assert.Empty(_repository.Files());
    }

    [Fact]
    public async Task A_set_that_another_run_finishes_while_an_id_is_reserved_is_left_alone()
    {
        const string Id = "soundhash_backup_20261122_120000";
        var store = new WatchedStore(_repository.Store);
        store.BeforeWrite = async key =>
        {
            if (key == $"sets/{Id}/intent.json")
            {
                await _repository.Store.AddSetAsync(TestSets.Manifest(Id));
            }
        };

        await using (var second = await BeginAsync(store))
        {
            Assert.Equal($"{Id}_2", second.Id);
        }

        Assert.Equal([$"sets/{Id}/intent.json", $"sets/{Id}_2/manifest.json", $"sets/{Id}_2/intent.json"], store.Deleted);
        Assert.True(Assert.Single((await _repository.Store.CatalogueAsync()).Sets).IsComplete);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_writer_that_gives_up_never_removes_a_set_that_it_did_not_write(bool commits)
    {
        var store = new WatchedStore(_repository.Store);
        await using (var writer = await BeginAsync(store))
        {
            var record = await _repository.WriteObjectAsync(writer, "other.dump", "dump");
            if (commits)
            {
                store.BeforeWrite = key => key.EndsWith("/manifest.json", StringComparison.Ordinal)
                    ? AddManifestAsync(writer, record)
                    : Task.CompletedTask;
                await Assert.ThrowsAsync<ObjectExistsException>(() => writer.CommitAsync(Manifest(writer, record), Cancel));
            }
            else
            {
                await AddManifestAsync(writer, record);
            }
        }

        Assert.Empty(store.Deleted);
        Assert.True(Assert.Single((await _repository.Store.CatalogueAsync()).Sets).IsComplete);
    }

    [Fact]
    public async Task Two_stores_that_are_one_place_are_refused_and_nothing_of_them_is_left()
    {
        var alias = new TroubledStore(_repository.Store, "alias");
        var before = _repository.Files();

        var e = await Assert.ThrowsAsync<BackupException>(() => SetWriter.BeginAsync(
            StoreGroups.Of(_repository.Store, alias),
            "soundhash_backup",
            _repository.Held,
            RepositoryFixture.Plain,
            TestSets.Keeping,
            TimeProvider.System,
            Serilog.Core.Logger.None,
            Cancel));

        Assert.Equal(ErrorKind.Configuration, e.Kind);
        Assert.Contains("is the same place as another store of this run", e.Message, StringComparison.Ordinal);
        Assert.Equal(before, _repository.Files());
    }

    [Fact]
    public async Task A_copy_is_locked_when_it_is_whole_and_for_the_time_of_its_own_store()
    {
        var other = new WatchedStore(new TroubledStore(_other.Store, "other"));
        var store = new WatchedStore(_repository.Store);
        var retention = TestSets.Retention with { Own = new Dictionary<string, RetentionDays> { ["other"] = new(60, 90, 365) } };
        await using var writer = await SetWriter.BeginAsync(
            StoreGroups.Of(store, other),
            "soundhash_backup",
            _repository.Held,
            RepositoryFixture.Plain,
            TestSets.Keeping with { Retention = retention },
            TimeProvider.System,
            Logger.None,
            Cancel);
        var record = await _repository.WriteObjectAsync(writer, "database.dump", "the dump");
        Assert.Empty(store.Locked.Concat(other.Locked));

        await writer.CommitAsync(Manifest(writer, record), Cancel);

        foreach (var (one, days) in ((WatchedStore, int)[])[(store, 30), (other, 60)])
        {
            var folder = $"sets/{writer.Id}";
            Assert.Equal([$"{folder}/database.dump", $"{folder}/SHA256SUMS", $"{folder}/manifest.json"], one.Locked.Select(static l => l.Key));
            Assert.All(one.Locked, l => Assert.Equal(TestSets.Noon.AddDays(days), l.Until));
        }
    }

    private Task AddManifestAsync(SetWriter writer, ObjectRecord record) => _repository.Store.WriteAsync(
        $"sets/{writer.Id}/manifest.json", ManifestFormat.Write(Manifest(writer, record)), WriteMode.CreateNew, Cancel);

    private Task<SetWriter> BeginAsync(IObjectStore store) => SetWriter.BeginAsync(
        StoreGroups.Of(store),
        "soundhash_backup",
        _repository.Held,
        RepositoryFixture.Plain,
        TestSets.Keeping,
        TimeProvider.System,
        Serilog.Core.Logger.None,
        Cancel);

    private static Manifest Manifest(
        SetWriter writer,
        params ObjectRecord[] records) => TestSets.Manifest(writer.Id, null, "soundhash", records);
}
