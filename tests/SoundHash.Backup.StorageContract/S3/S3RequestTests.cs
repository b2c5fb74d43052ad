using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>What is sent to a store, so that strict ones take it too; and what is found out about it.</summary>
public sealed class S3RequestTests : ScriptedS3Tests
{
    private static readonly ObjectAttributes Attributes = new("archive", "physical");

    [Theory]
    [InlineData("small")]
    [InlineData("large")]
    public async Task Class_tags_and_encryption_are_told_when_an_object_begins(string key)
    {
        using var store = Open(Options with
        {
            StorageClass = "STANDARD_IA",
            StorageClasses = new Dictionary<string, string> { ["archive"] = "GLACIER_IR" },
            Encryption = S3Encryption.Kms,
            KmsKey = "alias/backup",
            Tags = true,
            Cluster = "main & one",
        });
        await WriteAsync(store, key, key == "small" ? "x" : Large, Attributes);
        await WriteAsync(store, $"{key}2", key == "small" ? "x" : Large, ObjectAttributes.None);

        var begun = S3.Server.Requests.Where(static r => IsPut(r) || IsBegin(r)).ToList();
        Assert.Equal(
            ("GLACIER_IR", "aws:kms", "alias/backup", "tier=archive&kind=physical&cluster=main%20%26%20one"),
            (begun[0].Header("x-amz-storage-class"), begun[0].Header("x-amz-server-side-encryption"), begun[0].Header("x-amz-server-side-encryption-aws-kms-key-id"), begun[0].Header("x-amz-tagging")));
        Assert.Equal(("STANDARD_IA", "cluster=main%20%26%20one"), (begun[1].Header("x-amz-storage-class"), begun[1].Header("x-amz-tagging")));
        Assert.Equal(32, begun[0].Header("x-amz-meta-shbackup-write")!.Length);
    }

    [Fact]
    public async Task Nothing_is_told_that_strict_stores_do_not_know()
    {
        using var store = Open(S3Stores.Options(S3) with { ConditionalWrites = ConditionalWrites.Unsupported });
        await WriteAsync(store, "small", "x", Attributes);
        await WriteAsync(store, "large", Large, Attributes);
        await store.GetAsync("large", 5);
        await store.KeysAsync(string.Empty);
        await store.DeleteAsync("small", Cancel);

        foreach (var request in S3.Server.Requests)
        {
            Assert.DoesNotContain(request.Headers.Keys, static h => h.ToLowerInvariant() is "x-amz-tagging" or "x-amz-storage-class" or "if-none-match"
                or "x-amz-trailer" or "x-amz-sdk-checksum-algorithm" or "x-amz-server-side-encryption" or "x-amz-object-lock-mode" or "x-amz-checksum-mode");
            Assert.DoesNotContain("STREAMING", request.Header("x-amz-content-sha256") ?? string.Empty, StringComparison.Ordinal);
            Assert.DoesNotContain("aws-chunked", request.Header("Content-Encoding") ?? string.Empty, StringComparison.Ordinal);
            Assert.NotEqual("chunked", request.Header("Transfer-Encoding"));
        }

        Assert.All(S3.Server.Requests.Where(static r => IsPut(r) || IsPart(r)), static r => Assert.NotNull(r.Header("Content-MD5")));
    }

    [Fact]
    public async Task Only_a_large_body_is_announced_before_it_is_sent()
    {
        using var store = Open(Options with { PartSize = 2_000_000 });
        await store.PutAsync("small", "x");
        await store.PutAsync("large", Large);

        Assert.Equal([null, "100-continue"], S3.Server.Requests.Select(static r => r.Header("Expect")));
    }

    [Fact]
    public async Task Parts_grow_as_an_object_does_and_buffers_are_used_again()
    {
        using var store = Open(Options with { PartSize = 1024, PartsInFlight = 4 });
        await using var writer = await store.OpenWriteAsync("k", WriteMode.CreateNew, Cancel);
        for (var n = 0; n < 15; n++)
        {
            await writer.WriteAsync(new byte[100 * 1024], Cancel);
        }

        await writer.CompleteAsync(Cancel);

        Assert.Equal(1000 + 250, Count(IsPart));
    }

    [Theory]
    [InlineData(Conditions.Honoured, ConditionalWrites.Honoured, 2, 1)]
    [InlineData(Conditions.Refused, ConditionalWrites.Unsupported, 1, 1)]
    [InlineData(Conditions.Ignored, ConditionalWrites.Unsupported, 2, 2)]
    public async Task Conditional_writes_are_tried_once_and_the_result_can_be_remembered(Conditions conditions, ConditionalWrites expected, int requests, int next)
    {
        await S3.DisposeAsync();
        S3 = new ScriptedS3 { Conditions = conditions };
        using var first = Open(S3Stores.Options(S3));
        Assert.Equal(ConditionalWrites.Unknown, first.ConditionalWrites);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(n => first.PutAsync($"k{n}", "x")));
        Assert.Equal(expected, first.ConditionalWrites);
        Assert.Equal(requests, Count(IsProbe));

        using var second = Open(S3Stores.Options(S3));
        Assert.Equal(expected, await second.KnowConditionalWritesAsync(Cancel));
        Assert.Equal(requests + next, Count(IsProbe));

        using var told = Open(S3Stores.Options(S3) with { ConditionalWrites = expected });
        await told.PutAsync("told", "x");
        Assert.Equal(requests + next, Count(IsProbe));
    }

    [Theory]
    [InlineData(Conditions.Honoured)]
    [InlineData(Conditions.Refused)]
    public async Task Where_the_trial_is_denied_the_first_write_tells(Conditions conditions)
    {
        await S3.DisposeAsync();
        S3 = new ScriptedS3 { Conditions = conditions, Denied = IsProbe };
        using var store = Open(S3Stores.Options(S3));

        await store.PutAsync("small", "x");
        await store.PutAsync("large", Large);
        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("small", "y"));

        Assert.Equal(("x", Large), (Stored("small"), Stored("large")));
        Assert.Equal(1, Count(IsProbe));
    }

    [Fact]
    public async Task A_store_that_honours_conditions_of_whole_objects_alone_replaces_nothing()
    {
        await S3.DisposeAsync();
        S3 = new ScriptedS3 { Conditions = Conditions.HonouredOfWholeObjects };
        using var store = Open(S3Stores.Options(S3));
        await store.PutAsync("k", "first");

        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("k", Large));

        Assert.Equal((ConditionalWrites.Honoured, "first"), (store.ConditionalWrites, Stored("k")));
    }

    [Fact]
    public async Task A_replacement_needs_no_trial()
    {
        using var store = Open(S3Stores.Options(S3));

        await store.PutAsync("k", "x", WriteMode.Replace);

        Assert.Equal(0, Count(IsProbe));
    }

    [Theory]
    [InlineData("")]
    [InlineData("deep/er")]
    [InlineData("/deep/er/")]
    public async Task A_prefix_is_where_all_keys_are(string prefix)
    {
        using var store = Open(Options with { Prefix = prefix });
        await store.PutAsync("sets/a", "x");

        Assert.Equal(["sets/a"], await store.KeysAsync("sets/"));
        Assert.Contains(prefix.Length == 0 ? "sets/a" : "deep/er/sets/a", S3.Stored.Versions.Keys);
    }

    private static bool IsProbe(ScriptedRequest request) => request.Path.EndsWith("/.shbackup-probe", StringComparison.Ordinal);

    private static async Task WriteAsync(S3ObjectStore store, string key, string text, ObjectAttributes attributes)
    {
        await using var writer = await store.OpenWriteAsync(key, WriteMode.CreateNew, attributes, Cancel);
        await writer.WriteAsync(System.Text.Encoding.UTF8.GetBytes(text), Cancel);
        await writer.CompleteAsync(Cancel);
    }
}
