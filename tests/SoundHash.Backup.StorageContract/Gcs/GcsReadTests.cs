using SoundHash.Backup.Storage;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>What can go wrong while objects are read and listed.</summary>
public sealed class GcsReadTests : ScriptedGcsTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(100_001)]
    public async Task What_breaks_is_read_on_from_where_it_broke(int offset)
    {
        Gcs.Put("a/prefix/k", Large);
        Gcs.Server.Fail(new Fault { When = IsRead, CutAnswerAfter = 300_000 });
        Gcs.Server.Fail(new Fault { When = IsRead, Answer = ScriptedAnswer.Of(503, "x") });
        Gcs.Server.Fail(new Fault { When = IsRead, StallAnswerAfter = 200_000 });
        Gcs.Server.Fail(new Fault { When = IsRead, CutAnswerAfter = 0 });
        Gcs.Server.Fail(new Fault { When = IsRead, CutsAnswer = true });
        using var store = Open(Options with { Stall = TimeSpan.FromSeconds(0.2) });

        Assert.Equal(Large[offset..], await store.GetAsync("k", offset));

        Assert.Equal(5, Gcs.Server.Failures);
        var reads = Gcs.Server.Requests.Where(IsRead).ToList();
        Assert.Equal(offset == 0 ? null : "bytes=100001-", reads[0].Header("Range"));
        Assert.Null(reads[0].Argument("generation"));
        Assert.Contains($"bytes={300_000 + offset}-", reads.Select(static g => g.Header("Range")));
        Assert.Contains($"bytes={500_000 + offset}-", reads.Select(static g => g.Header("Range")));
        Assert.All(reads.Skip(1), r => Assert.Equal($"{Gcs.Find("a/prefix/k")!.Generation}", r.Argument("generation")));
        Assert.All(reads, static r => Assert.Equal("gzip", r.Header("Accept-Encoding")));
    }

    [Fact]
    public async Task A_slow_body_is_no_stall()
    {
        Gcs.Put("a/prefix/k", Large);
        Gcs.Server.Fail(new Fault { When = IsRead, AnswerPause = TimeSpan.FromSeconds(0.1), AnswerPiece = 50_000 });
        Gcs.Server.Fail(new Fault { When = IsList, AnswerPause = TimeSpan.FromSeconds(0.1), AnswerPiece = 40 });
        Gcs.Server.Fail(new Fault { When = IsWhole, RequestPause = TimeSpan.FromSeconds(0.1) });
        Gcs.Server.ReceiveBuffer = 64 * 1024;
        using var store = Open(Options with { Stall = TimeSpan.FromSeconds(1.5), ChunkSize = 1024 * 1024 });

        Assert.Equal(Large, await store.GetAsync("k"));
        Assert.Equal(["k"], await store.KeysAsync(string.Empty));
        await store.PutAsync("slow", Large[..1_000_000]);

        Assert.Equal((1, 1, 1), (Count(IsRead), Count(IsList), Count(IsWhole)));
    }

    [Fact]
    public async Task An_object_that_was_replaced_meanwhile_is_an_error_and_never_half_of_each()
    {
        Gcs.Put("a/prefix/k", Large);
        Gcs.Server.Fail(new Fault { When = IsRead, CutAnswerAfter = 300_000 });
        using var store = Open();
        await using var stored = await store.OpenReadAsync("k", 0, Cancel);
        Gcs.Put("a/prefix/k", Large.Replace('0', '1'));

        var e = await Assert.ThrowsAsync<StorageException>(() => stored.CopyToAsync(Stream.Null, Cancel));

        AssertClear(e, "can't read k", "replaced or deleted while it was read");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(300_000)]
    public async Task A_store_that_answers_with_other_bytes_than_were_asked_for_is_an_error(int broken)
    {
        Gcs.Put("a/prefix/k", Large);
        if (broken > 0)
        {
            Gcs.Server.Fail(new Fault { When = IsRead, CutAnswerAfter = broken });
        }

        Gcs.Server.Fail(new Fault { When = IsRead, Change = a => (a with { Status = 200, Body = Gcs.Find("a/prefix/k")!.Bytes }).Without("Content-Range") });
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.GetAsync("k", broken > 0 ? 0 : 10));

        AssertClear(e, "can't read k", $"elsewhere than at byte {(broken > 0 ? broken : 10)}");
    }

    [Fact]
    public async Task A_store_that_does_not_say_which_version_it_is_is_not_read_on()
    {
        Gcs.Put("a/prefix/k", Large);
        Gcs.Server.Fail(new Fault { When = IsRead, CutAnswerAfter = 300_000, Change = static a => a.Without("X-Goog-Generation") });
        using var store = Open();

        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.GetAsync("k")), "can't read k", "broke at byte 300000", "which version");
    }

    [Fact]
    public async Task Bytes_that_are_not_those_of_the_checksum_are_an_error_in_place_of_the_end()
    {
        Gcs.Put("a/prefix/k", "the bytes", static o => o.Crc32c = "AAAAAA==");
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.GetAsync("k"));

        AssertClear(e, "can't read k", "its 9 bytes came with crc32c", "where the store has AAAAAA==");
        Assert.Equal("bytes", await store.GetAsync("k", 4));
    }

    [Fact]
    public void The_checksum_is_the_one_that_google_means() => Assert.Equal("4waSgw==", GcsStored.Sum("123456789"u8));

    [Fact]
    public async Task From_behind_its_end_an_object_can_not_be_read()
    {
        Gcs.Put("a/prefix/k", "the bytes");
        using var store = Open();

        Assert.Equal(string.Empty, await store.GetAsync("k", 9));
        Gcs.Server.Fail(new Fault { When = IsRead, Change = static a => a.Without("Content-Range") });
        Assert.Equal(string.Empty, await store.GetAsync("k", 9));
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.GetAsync("k", 10)), "can't read k", "has 9 bytes", "from byte 10 on");
    }

    [Fact]
    public async Task A_read_that_fails_for_ever_ends()
    {
        Gcs.Put("a/prefix/k", Large);
        Gcs.Server.Fail(new Fault { When = IsRead, Times = 99, CutAnswerAfter = 0 });
        using var store = Open();

        AssertClear(await Assert.ThrowsAsync<TransientStorageException>(() => store.GetAsync("k")), "can't read k", "the connection to the store failed", "ended", "reachable");
    }

    [Fact]
    public async Task A_list_has_every_page_and_is_asked_again_for_one_that_is_damaged()
    {
        Gcs.PageSize = 2;
        string[] keys = ["s/1", "s/2", "s/3", "s/4", "s/5"];
        foreach (var key in keys)
        {
            Gcs.Put($"a/prefix/{key}", "x");
        }

        Gcs.Server.Fail(new Fault { When = IsList, CutAnswerAfter = 30 });
        Gcs.Server.Fail(new Fault { When = IsList, After = 1, Change = static a => a with { Body = a.Body[..(a.Body.Length / 2)] } });
        Gcs.Server.Fail(new Fault { When = IsList, After = 1, Change = static a => a with { Body = default } });
        using var store = Open();

        Assert.Equal(keys, await store.KeysAsync("s/"));
        Assert.Equal((3, 6), (Gcs.Server.Failures, Count(IsList)));
    }

    [Fact]
    public async Task A_page_with_nothing_on_it_is_not_the_last_one_and_a_page_that_leads_to_itself_is_an_error()
    {
        Gcs.Put("a/prefix/k", "x");
        Gcs.Server.Fail(new Fault { When = IsList, Answer = ScriptedAnswer.Of(200, """{"nextPageToken":"00"}""", "application/json") });
        using var store = Open();
        Assert.Equal(["k"], await store.KeysAsync(string.Empty));

        Gcs.Server.Fail(new Fault { When = IsList, Times = 99, Answer = ScriptedAnswer.Of(200, """{"nextPageToken":"00"}""", "application/json") });
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync(string.Empty)), "can't list", "same page");
    }

    [Fact]
    public async Task What_another_tool_has_put_into_the_prefix_is_passed_over()
    {
        foreach (var name in (string[])["a/prefix/", "a/prefix/sets/", "a/prefix/sets/ä b", "a/prefix/sets//x", "a/prefix/sets/ok", "a/prefix2/sets/no", "a/other", "sets/no"])
        {
            Gcs.Put(name, "x");
        }

        using var store = Open();

        Assert.Equal(["sets/ok"], await store.KeysAsync(string.Empty));
        Assert.Equal(["sets/ok"], await store.KeysAsync("sets/"));
        using var whole = Open(Options with { Prefix = string.Empty });
        Assert.Equal(["a/other", "a/prefix/sets/ok", "a/prefix2/sets/no", "sets/no"], await whole.KeysAsync(string.Empty));
    }
}
