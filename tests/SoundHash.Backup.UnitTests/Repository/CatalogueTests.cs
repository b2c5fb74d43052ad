using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>What a store holds, and which set is meant.</summary>
public sealed class CatalogueTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly LocalObjectStore _store;

    public CatalogueTests() => _store = new LocalObjectStore(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Order_comes_from_the_recorded_start_and_not_from_names_or_file_times()
    {
        await AddAsync("weekly_backup_20240101_000000", -1);
        await AddAsync("a_backup_20250101_000000", -2);
        await AddAsync("z_backup_20990101_000000", -3);
        File.SetLastWriteTimeUtc(_folder["sets/z_backup_20990101_000000/manifest.json"], DateTime.UnixEpoch.AddYears(80));

        var catalogue = await _store.CatalogueAsync();

        Assert.Equal(
            ["weekly_backup_20240101_000000", "a_backup_20250101_000000", "z_backup_20990101_000000"],
            catalogue.Sets.Select(static s => s.Id));
        Assert.Equal("weekly_backup_20240101_000000", catalogue.Latest("soundhash").Id);
    }

    [Fact]
    public async Task An_empty_id_is_the_beginning_of_no_set()
    {
        await AddAsync("only", -1);

        var catalogue = await _store.CatalogueAsync();

        var e = Assert.Throws<BackupException>(() => catalogue.Find(string.Empty));
        Assert.Equal("there is no set ''", e.Message);
    }

    [Fact]
    public async Task The_latest_set_is_that_of_the_database_asked_for()
    {
        await AddAsync("one", -2);
        await AddAsync("two", -1, database: "other");

        var catalogue = await _store.CatalogueAsync();

        Assert.Equal("one", catalogue.Latest("soundhash").Id);
        Assert.Equal("two", catalogue.Latest("other").Id);
        var e = Assert.Throws<BackupException>(() => catalogue.Latest("Soundhash"));
        Assert.Equal("there is no set of database \"Soundhash\"", e.Message);
        Assert.Equal("shbackup backup list shows what there is", e.Hint);
    }

    [Fact]
    public async Task The_latest_set_is_not_told_while_a_manifest_is_broken_that_might_be_newer()
    {
        await AddAsync("good", -1);
        await WriteAsync("sets/broken/manifest.json", "{");

        var catalogue = await _store.CatalogueAsync();

        Assert.Equal(["good", "broken"], catalogue.Sets.Select(static s => s.Id));
        var e = Assert.Throws<BackupException>(() => catalogue.Latest("soundhash"));
        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.Contains("the manifest of set broken can't be used", e.Message, StringComparison.Ordinal);
        Assert.Contains("restore --backup ID", e.Hint, StringComparison.Ordinal);
        Assert.Equal("good", catalogue.Find("good").Id);
    }

    /// <summary>Noon of the set is 12:00:00: what began in the same second may be the newer one.</summary>
    [Theory]
    [InlineData("soundhash_backup_20261122_115959", true)]
    [InlineData("other_20200101_000000_2", true)]
    [InlineData("soundhash_backup_20261122_120000", false)]
    [InlineData("soundhash_backup_20261123_120000", false)]
    [InlineData("soundhash_backup_20269922_120000", false)]
    [InlineData("renamed", false)]
    public async Task A_set_that_cant_be_used_stops_the_choice_only_when_its_id_may_be_the_newer(string broken, bool older)
    {
        await AddAsync("soundhash_backup_20261122_120000_3", 0);
        await WriteAsync($"sets/{broken}/manifest.json", "{");

        var catalogue = await _store.CatalogueAsync();

        var warnings = new List<string>();
        if (older)
        {
            Assert.Equal("soundhash_backup_20261122_120000_3", catalogue.Latest("soundhash", warnings.Add).Id);
            Assert.Contains($"the manifest of set {broken} can't be used", Assert.Single(warnings), StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(ErrorKind.Verification, Assert.Throws<BackupException>(() => catalogue.Latest("soundhash", warnings.Add)).Kind);
        }

        Assert.Equal(ErrorKind.Verification, Assert.Throws<BackupException>(() => catalogue.Latest("another")).Kind);
    }

    [Fact]
    public async Task A_set_that_lost_its_manifest_is_told_from_one_that_is_being_written_and_may_be_the_newest()
    {
        await AddAsync("soundhash_backup_20261122_120000", 0);
        await WriteAsync("sets/soundhash_backup_20261123_120000/intent.json", "{}");
        await WriteAsync("sets/.stfolder/x", "of another program");

        Assert.Equal("soundhash_backup_20261122_120000", (await _store.CatalogueAsync()).Latest("soundhash").Id);

        await WriteAsync("sets/soundhash_backup_20261124_120000/database.dump", "xx");
        var catalogue = await _store.CatalogueAsync();

        var e = Assert.Throws<BackupException>(() => catalogue.Latest("soundhash"));
        Assert.Contains("set soundhash_backup_20261124_120000 has no manifest.json", e.Message, StringComparison.Ordinal);
        var leftovers = catalogue.Leftovers.ToDictionary(static l => l.Id);
        Assert.Null(leftovers["soundhash_backup_20261123_120000"].Problem);
        Assert.Equal(ErrorKind.Verification, leftovers["soundhash_backup_20261124_120000"].Problem?.Kind);
    }

    [Fact]
    public async Task Sets_of_several_clusters_are_never_chosen_among()
    {
        await AddAsync("one", -1);
        await _store.AddSetAsync(TestSets.Manifest("two", TestSets.Noon) with { SystemIdentifier = "42" });

        var catalogue = await _store.CatalogueAsync();

        var e = Assert.Throws<BackupException>(() => catalogue.Latest("soundhash"));
        Assert.Equal(ErrorKind.Usage, e.Kind);
        Assert.Contains("42, 7300000000000000001", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_physical_set_is_not_the_latest_of_a_database()
    {
        await _store.AddSetAsync(TestSets.Manifest("base", TestSets.Noon) with { Kind = SetKind.Physical });

        var catalogue = await _store.CatalogueAsync();

        Assert.Throws<BackupException>(() => catalogue.Latest("soundhash"));
    }

    [Fact]
    public async Task A_set_is_found_by_its_id_or_by_how_it_begins()
    {
        await AddAsync("soundhash_backup_20261122_120000", -1);
        await AddAsync("soundhash_backup_20261122_120000_2", -2);
        await AddAsync("soundhash_backup_20261123_120000", -3);
        await WriteAsync("sets/torn/manifest.json", string.Empty);

        var catalogue = await _store.CatalogueAsync();

        Assert.Equal("soundhash_backup_20261122_120000", catalogue.Find("soundhash_backup_20261122_120000").Id);
        Assert.Equal("soundhash_backup_20261123_120000", catalogue.Find("soundhash_backup_20261123").Id);
        AssertNotFound(catalogue, "soundhash_backup_20261122", ErrorKind.Usage, "is the beginning of 2 sets");
        AssertNotFound(catalogue, "SOUNDHASH", ErrorKind.Failed, "there is no set 'SOUNDHASH'");
        AssertNotFound(catalogue, "torn", ErrorKind.Verification, "it is empty");
    }

    [Fact]
    public async Task A_set_knows_what_is_pinned_missing_and_cut()
    {
        await AddAsync("whole", -1);
        await AddAsync("pinned", -2);
        await WriteAsync("sets/pinned/keep.json", "{}");
        await AddAsync("cut", -3);
        await File.WriteAllBytesAsync(_folder["sets/cut/database.dump"], [1], Cancel);
        await AddAsync("missing", -4);
        File.Delete(_folder["sets/missing/database.dump"]);

        var sets = (await _store.CatalogueAsync()).Sets.ToDictionary(static s => s.Id);

        Assert.Equal((true, false), (sets["whole"].IsComplete, sets["whole"].Pinned));
        Assert.Equal((true, true), (sets["pinned"].IsComplete, sets["pinned"].Pinned));
        Assert.Equal((false, "database.dump"), (sets["cut"].IsComplete, Assert.Single(sets["cut"].DamagedObjects)));
        Assert.Equal((false, "database.dump"), (sets["missing"].IsComplete, Assert.Single(sets["missing"].DamagedObjects)));
    }

    [Fact]
    public async Task What_has_no_manifest_is_no_set_but_a_leftover()
    {
        await WriteAsync("sets/half/intent.json", "{}");
        await WriteAsync("sets/half/database.dump", "xx");
        await WriteAsync("sets/deeper/x/manifest.json", "{}");
        await WriteAsync("sets/manifest.json", "{}");

        var catalogue = await _store.CatalogueAsync();

        Assert.Empty(catalogue.Sets);
        var half = Assert.Single(catalogue.Leftovers);
        Assert.Equal(("half", 2), (half.Id, half.Keys.Count));
    }

    [Fact]
    public async Task An_empty_repository_has_no_sets()
    {
        var catalogue = await _store.CatalogueAsync();

        Assert.Empty(catalogue.Sets);
        Assert.Throws<BackupException>(() => catalogue.Latest("soundhash"));
    }

    [Fact]
    public async Task A_manifest_of_more_than_16_MiB_is_not_read()
    {
        await WriteAsync("sets/huge/manifest.json", new string(' ', ManifestFormat.MaxBytes + 1));

        var entry = Assert.Single((await _store.CatalogueAsync()).Sets);

        Assert.Null(entry.Manifest);
        Assert.Contains($"larger than {ManifestFormat.MaxBytes} bytes", entry.Problem!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_broken_manifest_hides_no_other_set()
    {
        await AddAsync("good", -1);
        foreach (var (text, number) in ((string[])["", "null", "{\"formatVersion\": \"1\"}", "[null]", "{\"formatVersion\": 99}", "\0\0\0\0"]).Select(static (t, n) => (t, n)))
        {
            await WriteAsync($"sets/broken{number}/manifest.json", text);
        }

        var sets = (await _store.CatalogueAsync()).Sets;

        Assert.Equal("good", sets[0].Id);
        Assert.Equal(6, sets.Count(static s => s.Problem is { Kind: ErrorKind.Verification }));
    }

    [Fact]
    public async Task A_set_that_goes_while_the_catalogue_is_read_is_not_there()
    {
        await AddAsync("stays", -1);
        await AddAsync("goes", -2);
        var store = new WatchedStore(_store);
        store.BeforeRead = key => key.StartsWith(
            "sets/goes/",
            StringComparison.Ordinal) ? _store.DeleteAsync(key, Cancel) : Task.CompletedTask;

        var catalogue = await store.CatalogueAsync();

        Assert.Equal(["stays"], catalogue.Sets.Select(static s => s.Id));
        Assert.Equal("stays", catalogue.Latest("soundhash").Id);
    }

    private Task<Manifest> AddAsync(string id, int days, string database = "soundhash") =>
        _store.AddSetAsync(TestSets.Manifest(id, TestSets.Noon.AddDays(days), database));

    private Task WriteAsync(string key, string text) => _store.WriteAsync(key, Encoding.UTF8.GetBytes(text), WriteMode.Replace, Cancel);

    private static void AssertNotFound(Catalogue catalogue, string id, ErrorKind kind, string message)
    {
        var e = Assert.Throws<BackupException>(() => catalogue.Find(id));
        Assert.Equal(kind, e.Kind);
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
    }
}
