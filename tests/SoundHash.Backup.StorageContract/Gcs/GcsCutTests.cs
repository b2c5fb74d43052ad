using SoundHash.Backup.Storage;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>Connections that break or stand still at every step of writing an object.</summary>
public sealed class GcsCutTests : ScriptedGcsTests
{
    public static TheoryData<string, string, WriteMode> Cuts
    {
        get
        {
            var cuts = new TheoryData<string, string, WriteMode>();
            foreach (var step in (string[])["whole", "begin", "chunk", "last"])
            {
                foreach (var where in (string[])["in the request", "in the request, part of it kept", "before the answer", "in the answer", "stall in the request", "stall before the answer"])
                {
                    cuts.Add(step, where, WriteMode.CreateNew);
                    cuts.Add(step, where, WriteMode.Replace);
                }
            }

            return cuts;
        }
    }

    // Wherever it happens, and whether or not the store has done its work: the answer may be all that is lost.
    [Theory]
    [MemberData(nameof(Cuts))]
    public async Task A_connection_that_breaks_leaves_one_object_that_is_right(string step, string where, WriteMode mode)
    {
        Func<ScriptedRequest, bool> when = step switch { "whole" => IsWhole, "begin" => IsBegin, "chunk" => IsChunk, _ => IsLast };
        var text = step == "whole" ? Large[..200_000] : Large;
        using var store = Open(Options with { Stall = TimeSpan.FromSeconds(where.StartsWith("stall", StringComparison.Ordinal) ? 0.15 : 20) });
        for (var which = 0; which < (where.StartsWith("stall", StringComparison.Ordinal) ? 1 : 2); which++)
        {
            Gcs.Server.Fail(where switch
            {
                "in the request" => new Fault { When = when, CutRequestAfter = 40 },
                "in the request, part of it kept" => new Fault { When = when, CutRequestAfter = step == "last" ? 100_000 : 262_144, KeepsPart = step is "chunk" or "last" },
                "before the answer" => new Fault { When = when, CutsAnswer = true },
                "in the answer" => new Fault { When = when, CutAnswerAfter = step is "begin" or "chunk" ? 0 : 20 },
                "stall in the request" => new Fault { When = when, StallRequestAfter = 40 },
                _ => new Fault { When = when, Delay = Timeout.InfiniteTimeSpan },
            });
        }

        await store.PutAsync("k", text, mode);

        Assert.Equal(text, Stored("k"));
        // Whoever asks how far it has come finds the object of a lost answer there, and need not repeat it.
        Assert.InRange(Gcs.Server.Failures, 1, 2);
    }

    [Fact]
    public async Task What_the_store_has_of_a_chunk_is_not_sent_again()
    {
        using var store = Open(Options with { ChunkSize = 1024 * 1024 });
        Gcs.Server.Fail(new Fault { When = IsChunk, CutRequestAfter = 600_000, KeepsPart = true });

        await store.PutAsync("k", Large);

        Assert.Equal(Large, Stored("k"));
        Assert.Equal(
            ["bytes 0-1048575/*", "bytes */*", "bytes 524288-1048575/*", "bytes 1048576-1199999/1200000"],
            Gcs.Server.Requests.Select(RangeOf).OfType<string>());
    }

    [Fact]
    public async Task A_store_that_keeps_less_of_a_chunk_than_was_sent_gets_the_rest_again()
    {
        Gcs.Keeps = static n => Math.Min(n, Math.Max(n / 2, 256 * 1024));
        using var store = Open(Options with { ChunkSize = 1024 * 1024 });

        await store.PutAsync("k", string.Concat(Large, Large, Large));

        Assert.Equal(string.Concat(Large, Large, Large), Stored("k"));
        Assert.Contains("bytes 524288-1048575/*", Gcs.Server.Requests.Select(RangeOf));
        Assert.Equal(0, Count(IsQuestion));
    }

    [Fact]
    public async Task A_session_that_has_all_bytes_and_no_object_yet_is_told_that_they_are_all()
    {
        var part = Large[..(256 * 1024)] + "rest";
        using var store = Open();
        // The store takes the last bytes, and fails before it makes the object of them.
        Gcs.Server.Fail(new Fault { When = IsLast, CutRequestAfter = 4, KeepsPart = true });
        Gcs.KeepsCutEnds = true;

        await store.PutAsync("k", part);

        Assert.Equal(part, Stored("k"));
        Assert.Contains("bytes */262148", Gcs.Server.Requests.Select(RangeOf));
    }

    [Fact]
    public async Task A_store_that_has_lost_bytes_that_it_had_is_an_error()
    {
        using var store = Open();
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);
        await writer.WriteAsync(new byte[600_000], Cancel);
        await WaitForAsync(() => Count(IsChunk) == 2);
        Gcs.Server.Fail(new Fault { When = IsLast, Answer = ScriptedAnswer.Of(503, "busy") });
        Gcs.Server.Fail(new Fault { When = IsQuestion, Answer = new ScriptedAnswer(308).With("Range", "bytes=0-262143") });

        AssertClear(await Assert.ThrowsAsync<StorageException>(() => writer.CompleteAsync(Cancel)), "can't write k", "the store has 262144 bytes", "524288 to 600000");
        Assert.Null(Stored("k"));
    }

    [Fact]
    public async Task A_session_that_is_gone_is_begun_again_while_all_bytes_are_in_memory_and_else_is_an_error()
    {
        using var store = Open();
        Gcs.Server.Fail(new Fault { When = IsChunk, Answer = ScriptedAnswer.Of(410, "Gone", "text/plain") });
        Gcs.Server.Fail(new Fault { When = IsChunk, Answer = ScriptedAnswer.Of(404, "Not Found", "text/plain") });
        await store.PutAsync("k", Large);
        Assert.Equal((Large, 3), (Stored("k"), Gcs.SessionsBegun));

        Gcs.Server.Fail(new Fault { When = IsChunk, After = 1, Answer = ScriptedAnswer.Of(410, "Gone", "text/plain") });
        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k2", Large));

        AssertClear(e, "can't write k2", "HTTP 410", "ended before its time");
        Assert.Null(Stored("k2"));
    }

    [Fact]
    public async Task A_session_that_is_gone_after_the_last_answer_was_lost_has_made_the_object()
    {
        using var store = Open();
        Gcs.Server.Fail(new Fault { When = IsLast, CutsAnswer = true });
        Gcs.Server.Fail(new Fault { When = IsQuestion, Answer = ScriptedAnswer.Of(410, "Gone", "text/plain") });

        await store.PutAsync("k", Large);

        Assert.Equal(Large, Stored("k"));
    }

    private static async Task WaitForAsync(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(5, Cancel);
        }
    }
}
