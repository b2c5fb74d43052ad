using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>Tests of the S3 store over a scripted one of their own.</summary>
public abstract class ScriptedS3Tests : IAsyncDisposable
{
    /// <summary>An object of several parts.</summary>
    protected static readonly string Large = string.Concat(Enumerable.Range(0, 150_000).Select(static n => $"{n:x8}"));

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    protected ScriptedS3 S3 { get; set; } = new();

    private protected S3Options Options => S3Stores.Options(S3) with { ConditionalWrites = ConditionalWrites.Honoured };

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await S3.DisposeAsync();
    }

    private protected S3ObjectStore Open(S3Options? options = null) => S3Stores.Open(options ?? Options);

    protected static bool IsPut(ScriptedRequest request) => request.Method == "PUT" && request.Argument("uploadId") is null;

    protected static bool IsBegin(ScriptedRequest request) => request.Method == "POST" && request.Argument("uploads") is not null;

    protected static bool IsPart(ScriptedRequest request) => request.Method == "PUT" && request.Argument("partNumber") is not null;

    protected static bool IsFinish(ScriptedRequest request) => request.Method == "POST" && request.Argument("uploadId") is not null;

    protected int Count(Func<ScriptedRequest, bool> which) => S3.Server.Requests.Count(which);

    /// <summary>What every error of a store has to be.</summary>
    protected static void AssertClear(StorageException e, params ReadOnlySpan<string> words)
    {
        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.Contains("in store s3 (bucket bucket", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
        foreach (var word in words)
        {
            Assert.Contains(word, $"{e.Message} / {e.Hint}", StringComparison.Ordinal);
        }

        for (Exception? one = e; one is not null; one = one.InnerException)
        {
            Assert.DoesNotContain(S3Stores.Secret, one.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain("Signature=", one.ToString(), StringComparison.Ordinal);
        }
    }

    /// <summary>The bytes under a key as they are in the store, with no store of ours between.</summary>
    protected string? Stored(string key)
    {
        lock (S3.Stored.Lock)
        {
            return S3.Stored.Find($"a/prefix/{key}") is { } found ? Encoding.UTF8.GetString(found.Bytes.Span) : null;
        }
    }
}
