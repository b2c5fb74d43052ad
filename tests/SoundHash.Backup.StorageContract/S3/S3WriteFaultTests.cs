using SoundHash.Backup.Storage;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>What can go wrong while an object is written to S3, and passes: the object is there, once and right.</summary>
public sealed class S3WriteFaultTests : ScriptedS3Tests
{
    public static TheoryData<int, string> Storms => new()
    {
        { 500, "InternalError" }, { 502, "" }, { 503, "SlowDown" }, { 504, "" }, { 429, "TooManyRequests" }, { 408, "" }, { 400, "RequestTimeout" },
        { 400, "BadDigest" }, { 409, "OperationAborted" },
    };

    [Theory]
    [MemberData(nameof(Storms))]
    public async Task What_a_store_answers_when_it_has_too_much_to_do_is_tried_again(int status, string code)
    {
        var busy = code.Length == 0 ? ScriptedAnswer.Of(status, "busy") : ScriptedS3.Error(status, code, "busy");
        S3.Server.Fail(new Fault { When = IsPut, Times = 3, Answer = busy });
        S3.Server.Fail(new Fault { When = IsPart, Times = 6, Answer = busy });
        S3.Server.Fail(new Fault { When = static r => r.Method is "POST" or "HEAD", Times = 4, Answer = busy });
        using var store = Open();

        await store.PutAsync("small", "small");
        await store.PutAsync("large", Large);

        Assert.Equal(("small", Large), (Stored("small"), Stored("large")));
        Assert.Equal(13, S3.Server.Failures);
    }

    [Fact]
    public async Task A_storm_that_does_not_end_is_an_error_after_ten_attempts_once_the_store_was_heard_of()
    {
        S3.Server.Fail(new Fault { When = IsPut, Times = 99, Answer = ScriptedS3.Error(503, "SlowDown", "Reduce your request rate.") });
        using var store = Open();

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => store.PutAsync("k", "x"));

        AssertClear(e, "can't write k", "Reduce your request rate", "SlowDown", "HTTP 503", "request REQ-SlowDown", "fewer requests");
        Assert.Equal(10, Count(IsPut));
    }

    [Fact]
    public async Task The_wait_that_a_store_asks_for_is_kept()
    {
        S3.Server.Fail(new Fault { Answer = ScriptedS3.Error(503, "SlowDown", "later").With("Retry-After", "1") });
        using var store = Open();
        var began = TimeProvider.System.GetTimestamp();

        await store.PutAsync("k", "x");

        // Timers count in coarser ticks than this clock, and may ring a little early by it; the store's own first wait is milliseconds.
        Assert.True(TimeProvider.System.GetElapsedTime(began) >= TimeSpan.FromMilliseconds(900));
    }

    [Fact]
    public async Task An_object_that_somebody_else_made_while_a_request_was_repeated_is_theirs()
    {
        S3.Server.Fail(new Fault { When = IsPut, Answer = ScriptedS3.Error(500, "InternalError", "x") });
        using var store = Open();
        S3.PutForeign("a/prefix/k", "theirs");

        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("k", "ours"));

        Assert.Equal("theirs", Stored("k"));
    }

    [Fact]
    public async Task A_conflict_of_two_conditional_writes_is_tried_again()
    {
        var conflict = ScriptedS3.Error(409, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation.");
        S3.Server.Fail(new Fault { When = IsPut, Answer = conflict });
        S3.Server.Fail(new Fault { When = IsFinish, Answer = conflict });
        using var store = Open();

        await store.PutAsync("small", "small");
        await store.PutAsync("large", Large);

        Assert.Equal(("small", Large), (Stored("small"), Stored("large")));
    }

    [Fact]
    public async Task A_store_that_says_that_it_exists_and_then_that_it_does_not_is_asked_again()
    {
        S3.Server.Fail(new Fault { When = IsPut, Answer = ScriptedS3.Error(412, "PreconditionFailed", "x") });
        using var store = Open();

        await store.PutAsync("k", "x");

        Assert.Equal("x", Stored("k"));
    }

    [Fact]
    public async Task A_wrong_checksum_of_a_part_is_sent_again()
    {
        S3.Server.Fail(new Fault { When = IsPart, Times = 2, Change = static a => a.With("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"") });
        S3.Server.Fail(new Fault { When = IsPart, Change = static a => a.Without("ETag") });
        using var store = Open();

        await store.PutAsync("k", Large);

        Assert.Equal(Large, Stored("k"));
        Assert.Equal(5 + 3, Count(IsPart));
    }

    [Fact]
    public async Task A_slow_line_is_no_stall()
    {
        S3.Server.ReceiveBuffer = 32 * 1024;
        S3.Server.Fail(new Fault { When = IsPut, RequestPause = TimeSpan.FromMilliseconds(30) });
        using var store = Open(Options with { PartSize = 8_000_000, Stall = TimeSpan.FromSeconds(1) });

        await store.PutAsync("k", new string('x', 6_000_000));

        Assert.Equal(1, Count(IsPut));
    }

    [Fact]
    public async Task A_store_that_takes_its_time_to_put_a_large_object_together_is_waited_for()
    {
        S3.Server.Fail(new Fault { When = IsFinish, Delay = TimeSpan.FromSeconds(1) });
        using var store = Open(Options with { Stall = TimeSpan.FromSeconds(0.5) });

        await store.PutAsync("k", Large);

        Assert.Equal(1, Count(IsFinish));
    }

    // A 200 that carries an error is how S3 says that it failed after it had begun to answer.
    [Fact]
    public async Task An_error_inside_a_200_that_may_pass_is_tried_again()
    {
        S3.Server.Fail(new Fault { When = IsFinish, Times = 2, Answer = ScriptedS3.Error(200, "InternalError", "We encountered an internal error.") });
        using var store = Open();

        await store.PutAsync("k", Large);

        Assert.Equal(Large, Stored("k"));
        Assert.Equal(3, Count(IsFinish));
    }
}
