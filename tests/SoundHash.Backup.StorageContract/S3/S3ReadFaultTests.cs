using SoundHash.Backup.Storage;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>What can go wrong while objects are read from S3 and listed.</summary>
public sealed class S3ReadFaultTests : ScriptedS3Tests
{
    private static bool IsGet(ScriptedRequest request) => request.Method == "GET" && request.Path.EndsWith("/k", StringComparison.Ordinal);

    private static bool IsList(ScriptedRequest request) => request.Argument("list-type") is not null;

    [Theory]
    [InlineData(0)]
    [InlineData(100_001)]
    public async Task What_breaks_is_read_on_from_where_it_broke(int offset)
    {
        S3.PutForeign("a/prefix/k", Large);
        S3.Server.Fail(new Fault { When = IsGet, CutAnswerAfter = 300_000 });
        S3.Server.Fail(new Fault { When = IsGet, Answer = ScriptedS3.Error(503, "SlowDown", "x") });
        S3.Server.Fail(new Fault { When = IsGet, StallAnswerAfter = 200_000 });
        S3.Server.Fail(new Fault { When = IsGet, CutAnswerAfter = 0 });
        S3.Server.Fail(new Fault { When = IsGet, CutsAnswer = true });
        using var store = Open(Options with { Stall = TimeSpan.FromSeconds(0.2) });

        Assert.Equal(Large[offset..], await store.GetAsync("k", offset));

        Assert.Equal(5, S3.Server.Failures);
        var gets = S3.Server.Requests.Where(IsGet).ToList();
        Assert.Equal(offset == 0 ? null : "bytes=100001-", gets[0].Header("Range"));
        Assert.Null(gets[0].Header("If-Match"));
        Assert.Contains($"bytes={300_000 + offset}-", gets.Select(static g => g.Header("Range")));
        Assert.Contains($"bytes={500_000 + offset}-", gets.Select(static g => g.Header("Range")));
        Assert.All(gets.Skip(1), static g => Assert.NotNull(g.Header("If-Match")));
    }

    [Fact]
    public async Task An_object_that_was_replaced_meanwhile_is_an_error_and_never_half_of_each()
    {
        S3.PutForeign("a/prefix/k", Large);
        S3.Server.Fail(new Fault { When = IsGet, CutAnswerAfter = 300_000 });
        using var store = Open();
        await using var stored = await store.OpenReadAsync("k", 0, Cancel);
        S3.PutForeign("a/prefix/k", Large.Replace('0', '1'));

        var e = await Assert.ThrowsAsync<StorageException>(() => stored.CopyToAsync(Stream.Null, Cancel));

        AssertClear(e, "can't read k", "replaced while it was read");
    }

    [Fact]
    public async Task A_store_that_answers_with_other_bytes_than_were_asked_for_is_an_error()
    {
        S3.PutForeign("a/prefix/k", Large);
        S3.Server.Fail(new Fault
        {
            When = IsGet,
            Change = static a => (a with { Status = 200 }).Without("Content-Range"),
        });
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.GetAsync("k", 10));

        AssertClear(e, "can't read k", "bytes from 10 on");
    }

    [Fact]
    public async Task A_store_that_goes_on_with_other_bytes_than_were_asked_for_is_an_error()
    {
        S3.PutForeign("a/prefix/k", Large);
        S3.Server.Fail(new Fault { When = IsGet, CutAnswerAfter = 300_000 });
        S3.Server.Fail(new Fault { When = IsGet, Change = a => (a with { Status = 200, Body = S3.Stored.Find("a/prefix/k")!.Bytes }).Without("Content-Range") });
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.GetAsync("k"));

        AssertClear(e, "can't read k", "bytes from 300000 on");
    }

    [Fact]
    public async Task A_slow_answer_is_no_stall()
    {
        S3.PutForeign("a/prefix/k", Large[..100_000]);
        S3.Server.Fail(new Fault { When = IsGet, AnswerPause = TimeSpan.FromMilliseconds(40), AnswerPiece = 2500 });
        using var store = Open(Options with { Stall = TimeSpan.FromSeconds(1) });

        Assert.Equal(Large[..100_000], await store.GetAsync("k"));

        Assert.Equal(1, Count(IsGet));
    }

    [Fact]
    public async Task A_read_that_never_goes_on_is_an_error()
    {
        S3.PutForeign("a/prefix/k", Large);
        S3.Server.Fail(new Fault { When = IsGet, Times = 99, CutAnswerAfter = 0 });
        using var store = Open();

        var e = await Assert.ThrowsAnyAsync<StorageException>(() => store.GetAsync("k"));

        AssertClear(e, "can't read k", "connection failed");
    }

    [Fact]
    public async Task A_long_list_is_whole_though_the_store_is_busy_in_its_midst()
    {
        for (var n = 0; n < 1000; n++)
        {
            S3.PutForeign($"a/prefix/sets/{n:0000}/manifest.json", "x");
        }

        S3.Server.Fail(new Fault { When = IsList, After = 1, Times = 2, Answer = ScriptedS3.Error(503, "SlowDown", "x") });
        S3.Server.Fail(new Fault { When = IsList, After = 2, CutAnswerAfter = 500 });
        using var store = Open();

        Assert.Equal(1000, (await store.KeysAsync("sets/")).Distinct().Count());
        Assert.Equal(3, S3.Server.Failures);
    }

    [Fact]
    public async Task A_list_of_twenty_thousand_sets_is_whole()
    {
        await S3.DisposeAsync();
        S3 = new ScriptedS3 { PageSize = 1000 };
        for (var n = 0; n < 20_000; n++)
        {
            S3.PutForeign($"a/prefix/sets/{n:00000}/manifest.json", string.Empty);
        }

        using var store = Open(Options);

        Assert.Equal(20_000, (await store.KeysAsync("sets/")).Distinct().Count());
        Assert.Equal(20, Count(IsList));
    }

    [Theory]
    [InlineData("")]
    [InlineData("<NextContinuationToken>same</NextContinuationToken>")]
    public async Task A_list_that_is_cut_off_and_does_not_say_where_it_goes_on_is_an_error(string next)
    {
        S3.Server.Fail(new Fault
        {
            When = IsList,
            Times = 99,
            Answer = ScriptedAnswer.Of(200, $"<ListBucketResult><IsTruncated>true</IsTruncated>{next}</ListBucketResult>"),
        });
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync("sets/"));

        AssertClear(e, "can't list sets/", "cut off");
    }

    [Fact]
    public async Task What_another_tool_put_under_our_prefix_is_passed_over()
    {
        string[] foreign = ["a/prefix/größe ü.txt", "a/prefix/", "a/prefix/folder/", "a/prefix/a//b", "a/prefix/a&b<c>", "a/prefix/../x", "a/prefixed", "other"];
        foreach (var key in foreign)
        {
            S3.PutForeign(key, "x");
        }

        using var store = Open();
        await store.PutAsync("sets/a/dump", "ours");

        Assert.Equal(["sets/a/dump"], await store.KeysAsync(string.Empty));
    }

    [Fact]
    public async Task Unfinished_uploads_are_found_on_every_page_and_an_upload_is_as_young_as_its_last_part()
    {
        await S3.DisposeAsync();
        S3 = new ScriptedS3 { PageSize = 2 };
        using var store = Open();
        S3.Skew = TimeSpan.FromMinutes(-14);
        for (var n = 0; n < 5; n++)
        {
            var writer = await store.OpenWriteAsync($"sets/{n}", WriteMode.CreateNew, Cancel);
            await writer.WriteAsync(new byte[(S3Stores.PartSize * 4) + 1], Cancel);
            await Eventually(() => S3.Stored.Uploads.Values.Any(u => u.Key == $"a/prefix/sets/{n}" && u.Parts.Count == 4));
        }

        S3.Skew = TimeSpan.Zero;
        S3.Stored.Uploads.Values.First(static u => u.Key.EndsWith("/3", StringComparison.Ordinal)).Parts[4] = ("x"u8.ToArray(), "\"x\"", S3.Now);
        S3.Server.Fail(new Fault { When = static r => r.Method == "DELETE", CutsAnswer = true });

        await store.RemoveAbandonedWritesAsync("sets/", S3.Now.AddMinutes(-7), Cancel);

        Assert.Equal(["a/prefix/sets/3"], S3.Stored.Uploads.Values.Select(static u => u.Key));
    }

    private async Task Eventually(Func<bool> condition)
    {
        while (true)
        {
            lock (S3.Stored.Lock)
            {
                if (condition())
                {
                    return;
                }
            }

            await Task.Delay(5, Cancel);
        }
    }
}
