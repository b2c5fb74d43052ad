using Serilog.Core;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>The sets of several stores as one repository.</summary>
public sealed class AllCopiesTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly TroubledStore _near;
    private readonly TroubledStore _far;

    public AllCopiesTests()
    {
        _near = new TroubledStore(new LocalObjectStore(Path.Combine(_folder.Path, "near")), "near");
        _far = new TroubledStore(new LocalObjectStore(Path.Combine(_folder.Path, "far")), "far");
    }

    private static CancellationToken Cancel => TestRun.Cancel;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_set_is_one_whatever_number_of_copies_it_has()
    {
        var both = TestSets.Manifest("both", TestSets.Noon);
        await AddAsync(both, _near, _far);
        await AddAsync(TestSets.Manifest("only-far", TestSets.Noon.AddHours(1)), _far);

        var copies = await LoadAsync();

        Assert.Equal(["only-far", "both"], copies.Catalogue.Sets.Select(static s => s.Id));
        Assert.Equal([("near", SetCopyState.Ok), ("far", SetCopyState.Ok)], StatesOf(copies, "both"));
        Assert.Equal([("far", SetCopyState.Ok)], StatesOf(copies, "only-far"));
        Assert.Empty(copies.Problems);
    }

    [Fact]
    public async Task A_copy_that_lacks_an_object_is_damaged_and_the_set_is_whole_by_another()
    {
        await AddAsync(TestSets.Manifest("set"), _near, _far);
        File.Delete(Path.Combine(_folder.Path, "near/sets/set/database.dump"));

        var copies = await LoadAsync();

        Assert.Equal([("near", SetCopyState.Damaged), ("far", SetCopyState.Ok)], StatesOf(copies, "set"));
        Assert.True(copies.Catalogue.Sets.Single().IsComplete);
        Assert.Equal([1, 2, 3], await ReadAsync(copies));
    }

    [Fact]
    public async Task A_manifest_that_can_not_be_used_makes_a_broken_copy_and_no_broken_set()
    {
        await AddAsync(TestSets.Manifest("set"), _near, _far);
        await File.WriteAllTextAsync(Path.Combine(_folder.Path, "near/sets/set/manifest.json"), "{", Cancel);

        var copies = await LoadAsync();

        Assert.Equal([("near", SetCopyState.Broken), ("far", SetCopyState.Ok)], StatesOf(copies, "set"));
        Assert.NotNull(copies.Catalogue.Sets.Single().Manifest);
    }

    [Fact]
    public async Task What_one_store_is_still_being_given_is_no_leftover_of_a_set_that_another_has()
    {
        await AddAsync(TestSets.Manifest("set"), _far);
        await _near.WriteAsync("sets/set/intent.json", "{}"u8.ToArray(), WriteMode.CreateNew, Cancel);

        var copies = await LoadAsync();

        Assert.Equal([("near", SetCopyState.Unfinished), ("far", SetCopyState.Ok)], StatesOf(copies, "set"));
        Assert.Empty(copies.Catalogue.Leftovers);
    }

    [Fact]
    public async Task Another_set_under_the_same_id_is_told_and_never_read_from()
    {
        await AddAsync(TestSets.Manifest("set"), _near);
        await AddAsync(TestSets.Manifest("set") with { RunId = "another" }, _far);
        File.Delete(Path.Combine(_folder.Path, "near/sets/set/database.dump"));

        var copies = await LoadAsync();

        // The whole one counts, and nothing of the other is mixed in.
        Assert.Equal([("near", SetCopyState.Different), ("far", SetCopyState.Ok)], StatesOf(copies, "set"));
        Assert.Equal("another", copies.Catalogue.Find("set").RunId);
        Assert.Contains("is another one than in store far", Assert.Single(copies.Problems).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_can_not_be_read_is_a_problem_and_the_others_are_read()
    {
        await AddAsync(TestSets.Manifest("set"), _far);
        _near.Break("list", string.Empty);

        var copies = await LoadAsync();

        Assert.Equal("set", copies.Catalogue.Sets.Single().Id);
        Assert.StartsWith("store near can't be read: ", Assert.Single(copies.Problems).Message, StringComparison.Ordinal);
        _far.Break("list", string.Empty);
        var e = await Assert.ThrowsAsync<StorageException>(LoadAsync);
        Assert.Contains("near can't list", e.Message, StringComparison.Ordinal);
        Assert.Contains("far can't list", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_breaks_in_the_middle_of_an_object_is_read_on_from_another()
    {
        var content = TestRun.NewRandom().Noise(1_000_000);
        var set = TestSets.Manifest("set", null, "soundhash", TestSets.Record("database.dump", content));
        await _near.AddSetAsync(set, content);
        await _far.AddSetAsync(set, content);
        var copies = await AllCopies.LoadAsync([new BreakingStore(_near, 300_000), _far], Logger.None, Cancel);

        await using var stream = await SealedObject.OpenStoredAsync(copies.Reader, "set", set.Objects[0], Cancel);

        Assert.Equal(content, await stream.ReadAllAsync());
    }

    [Fact]
    public async Task When_every_copy_breaks_the_read_fails()
    {
        var content = TestRun.NewRandom().Noise(1_000_000);
        var set = TestSets.Manifest("set", null, "soundhash", TestSets.Record("database.dump", content));
        await _near.AddSetAsync(set, content);
        await _far.AddSetAsync(set, content);
        var copies = await AllCopies.LoadAsync([new BreakingStore(_near, 300_000), new BreakingStore(_far, 200_000)], Logger.None, Cancel);
        await using var stream = await SealedObject.OpenStoredAsync(copies.Reader, "set", set.Objects[0], Cancel);

        var e = await Assert.ThrowsAsync<StorageException>(() => stream.ReadAllAsync());

        Assert.Equal("store far broke", e.Message);
    }

    private static IEnumerable<(string, SetCopyState)> StatesOf(AllCopies copies, string id) =>
        copies.CopiesOf(id).Select(static c => (c.Store.Name, c.State));

    private static async Task AddAsync(Manifest manifest, params IObjectStore[] stores)
    {
        foreach (var store in stores)
        {
            await store.AddSetAsync(manifest);
        }
    }

    private static async Task<byte[]> ReadAsync(AllCopies copies)
    {
        await using var stream = await copies.Reader.OpenReadAsync("sets/set/database.dump", 0, Cancel);
        return await stream.ReadAllAsync();
    }

    private Task<AllCopies> LoadAsync() => AllCopies.LoadAsync([_near, _far], Logger.None, Cancel);
}
