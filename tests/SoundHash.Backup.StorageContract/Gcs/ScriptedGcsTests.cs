using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>Tests of the GCS store over a scripted bucket of their own.</summary>
public abstract class ScriptedGcsTests : IAsyncDisposable
{
    /// <summary>An object of five chunks.</summary>
    protected static readonly string Large = string.Concat(Enumerable.Range(0, 150_000).Select(static n => $"{n:x8}"));

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    protected ScriptedGcs Gcs { get; } = new();

    private protected GcsOptions Options => GcsStores.OptionsAt(Gcs.Server.Address);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await Gcs.DisposeAsync();
    }

    private protected GcsObjectStore Open(GcsOptions? options = null) => GcsStores.Open(options ?? Options);

    protected static bool IsWhole(ScriptedRequest request) => request.Argument("uploadType") == "multipart";

    protected static bool IsBegin(ScriptedRequest request) => request.Argument("uploadType") == "resumable";

    /// <summary>A chunk but the last one.</summary>
    protected static bool IsChunk(ScriptedRequest request) => RangeOf(request) is { } range && range[6] != '*' && range.EndsWith("/*", StringComparison.Ordinal);

    protected static bool IsLast(ScriptedRequest request) => RangeOf(request)?.EndsWith("/*", StringComparison.Ordinal) == false;

    protected static bool IsQuestion(ScriptedRequest request) => RangeOf(request) == "bytes */*";

    protected static bool IsStat(ScriptedRequest request) => request is { Method: "GET" } && request.Argument("fields") is not null && !IsList(request);

    protected static bool IsRead(ScriptedRequest request) => request.Argument("alt") == "media";

    protected static bool IsList(ScriptedRequest request) => request.Argument("maxResults") is not null;

    protected static string? RangeOf(ScriptedRequest request) => request.Header("Content-Range");

    protected int Count(Func<ScriptedRequest, bool> which) => Gcs.Server.Requests.Count(which);

    /// <summary>The bytes under a key as they are in the bucket, with no store of ours between.</summary>
    protected string? Stored(string key) => Gcs.Find($"a/prefix/{key}") is { } found ? Encoding.UTF8.GetString(found.Bytes.Span) : null;

    protected static void AssertClear(StorageException e, params ReadOnlySpan<string> words)
    {
        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.Contains("in store gcs (bucket ", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
        foreach (var word in words)
        {
            Assert.Contains(word, $"{e.Message} / {e.Hint}", StringComparison.Ordinal);
        }

        for (Exception? one = e; one is not null; one = one.InnerException)
        {
            Assert.DoesNotContain(ScriptedGcs.GoodToken, one.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain("which-nobody-may-see", one.ToString(), StringComparison.Ordinal);
        }
    }

    /// <summary>Every operation, and what its errors begin with.</summary>
    protected static IReadOnlyList<(string Verb, Func<IObjectStore, Task> Attempt)> Operations { get; } =
    [
        ("write k", static s => s.PutAsync("k", "x")),
        ("write k", static s => s.PutAsync("k", "x", WriteMode.Replace)),
        ("write large", static s => s.PutAsync("large", Large)),
        ("read k", static s => s.GetAsync("k")),
        ("read k", static s => s.GetAsync("k", 5)),
        ("read k", static s => s.StatAsync("k", Cancel)),
        ("read k", static s => s.ConfirmAsync("k", Cancel)),
        ("list sets/", static s => s.KeysAsync("sets/")),
        ("delete k", static s => s.DeleteAsync("k", Cancel)),
        ("lock k", static s => s.RetainAsync("k", new ObjectAttributes(RetainUntil: DateTimeOffset.UnixEpoch.AddYears(200)), Cancel)),
    ];
}
