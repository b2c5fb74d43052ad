using System.Text;
using SoundHash.Backup.Storage;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>What goes wrong for good while an object is written to S3: a clear error, and nothing left behind.</summary>
public sealed class S3WriteErrorTests : ScriptedS3Tests
{
    private int Uploads
    {
        get
        {
            lock (S3.Stored.Lock)
            {
                return S3.Stored.Uploads.Count;
            }
        }
    }

    [Fact]
    public async Task An_error_inside_a_200_is_an_error()
    {
        S3.Server.Fail(new Fault { When = IsFinish, Times = 99, Answer = ScriptedS3.Error(200, "AccessDenied", "Access Denied") });
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", Large));

        AssertClear(e, "can't write k");
        Assert.Equal((1, 0), (Count(IsFinish), Uploads));
        Assert.Null(Stored("k"));
    }

    [Fact]
    public async Task A_completion_that_does_not_say_what_it_made_is_an_error()
    {
        S3.Server.Fail(new Fault { When = IsFinish, Answer = ScriptedAnswer.Of(200, "<CompleteMultipartUploadResult/>") });
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", Large));

        AssertClear(e, "can't write k", "no ETag");
        Assert.Equal((1, 0), (Count(IsFinish), Uploads));
    }

    [Fact]
    public async Task A_part_that_stays_wrong_is_an_error_that_names_it()
    {
        S3.Server.Fail(new Fault
        {
            When = static r => r.Argument("partNumber") == "2",
            Times = 99,
            Change = static a => a.With("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\""),
        });
        using var store = Open();

        var e = await Assert.ThrowsAnyAsync<StorageException>(() => store.PutAsync("k", Large));

        AssertClear(e, "part 2", "d41d8cd98f00b204e9800998ecf8427e");
        Assert.Equal(0, Uploads);
        Assert.Null(Stored("k"));
    }

    [Fact]
    public async Task An_object_of_which_the_store_keeps_other_bytes_is_an_error_and_never_taken_for_ours()
    {
        S3.Server.Fail(new Fault { When = IsPut, Times = 99, Change = static a => a.With("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"") });
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", "x"));

        AssertClear(e, "other bytes", "delete");
        Assert.Equal(1, Count(IsPut));
    }

    [Fact]
    public async Task With_a_key_of_its_own_the_stores_ETag_is_no_checksum()
    {
        var encrypted = new Fault
        {
            When = static r => IsPut(r) || IsPart(r),
            Times = 99,
            Change = static a => a.With("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"").With("x-amz-server-side-encryption", "aws:kms"),
        };
        S3.Server.Fail(encrypted);
        using var store = Open();

        await store.PutAsync("k", "x");

        Assert.Equal("x", Stored("k"));
    }

    [Fact]
    public async Task An_upload_of_which_a_part_failed_is_given_up_and_its_error_comes_soon()
    {
        S3.Server.Fail(new Fault { When = static r => r.Argument("partNumber") == "2", Times = 99, Answer = ScriptedS3.Error(403, "AccessDenied", "no") });
        using var store = Open();
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);

        var e = await Assert.ThrowsAsync<StorageException>(async () =>
        {
            for (var n = 0; n < 1000; n++)
            {
                await writer.WriteAsync(new byte[100_000], Cancel);
            }
        });
        await writer.DisposeAsync();

        AssertClear(e, "can't write k", "AccessDenied", "s3:PutObject");
        Assert.Equal(0, Uploads);
    }

    [Fact]
    public async Task An_upload_that_is_cancelled_is_given_up()
    {
        S3.Server.Fail(new Fault { When = IsPart, Times = 99, Delay = Timeout.InfiniteTimeSpan });
        using var store = Open(Options);
        using var cancel = new CancellationTokenSource();
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);
        await writer.WriteAsync(new byte[S3Stores.PartSize * 2], Cancel);
        var completing = writer.CompleteAsync(cancel.Token);

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => completing);
        await writer.DisposeAsync();

        Assert.Equal(0, Uploads);
        Assert.Null(Stored("k"));
    }

    [Fact]
    public async Task Waiting_for_a_busy_store_ends_when_it_is_cancelled()
    {
        S3.Server.Fail(new Fault { Times = 99, Answer = ScriptedS3.Error(503, "SlowDown", "x").With("Retry-After", "25") });
        using var store = Open();
        using var cancel = new CancellationTokenSource(TimeSpan.FromSeconds(0.3));
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writer.CompleteAsync(cancel.Token));
    }

    [Fact]
    public async Task Giving_an_upload_up_takes_one_attempt_and_never_fails()
    {
        S3.Server.Fail(new Fault { When = static r => r.Method == "DELETE", Times = 99, Answer = ScriptedS3.Error(503, "SlowDown", "x") });
        using var store = Open();
        await using (var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel))
        {
            await writer.WriteAsync(new byte[S3Stores.PartSize * 2], Cancel);
        }

        Assert.Equal(1, Count(static r => r.Method == "DELETE"));
    }

    [Fact]
    public async Task A_store_that_stands_still_is_an_error_after_three_attempts_when_it_was_never_heard_of()
    {
        S3.Server.Fail(new Fault { Times = 99, Delay = Timeout.InfiniteTimeSpan });
        using var store = Open(Options with { Stall = TimeSpan.FromSeconds(0.2) });

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => store.PutAsync("k", "x"));

        AssertClear(e, "no byte moved for 0.2 s");
        Assert.Equal(3, Count(IsPut));
    }

    // The SDK too repeats what broke on a connection that was used before; it is not to multiply with our attempts.
    [Fact]
    public async Task A_connection_that_is_always_cut_is_an_error_after_the_attempts_of_ours_alone()
    {
        using var store = Open();
        await store.PutAsync("before", "x");
        S3.Server.Fail(new Fault { When = IsPut, Times = 99, CutRequestAfter = 0 });

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => store.PutAsync("k", new string('x', 100_000)));

        AssertClear(e, "connection failed");
        Assert.InRange(Count(IsPut), 11, 14);
    }

    [Fact]
    public async Task A_writer_takes_no_more_than_its_parts_in_flight_and_shows_that_bytes_move()
    {
        S3.Server.Fail(new Fault { When = IsPart, Times = 3, Delay = TimeSpan.FromSeconds(5) });
        using var store = Open(Options with { PartsInFlight = 3, Stall = TimeSpan.FromSeconds(20) });
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);
        var begun = writer.Moved;
        var accepted = 0;
        var piece = Encoding.ASCII.GetBytes(new string('x', 64 * 1024));
        var writing = Task.Run(
            async () =>
            {
                for (; accepted < 40 * piece.Length; accepted += piece.Length)
                {
                    await writer.WriteAsync(piece, Cancel);
                }
            },
            Cancel);
        // No part is answered yet: what was accepted by now is all that fits.
        while (Count(IsPart) < 3 || Volatile.Read(ref accepted) < 3 * S3Stores.PartSize)
        {
            await Task.Delay(5, Cancel);
        }

        Assert.Equal(3 * S3Stores.PartSize, Volatile.Read(ref accepted));
        await writing;
        await writer.CompleteAsync(Cancel);
        Assert.Equal(40 * piece.Length, Stored("k")!.Length);
        Assert.InRange(S3.Server.MostAtOnce, 1, 3);
        Assert.True(writer.Moved > begun);
    }
}
