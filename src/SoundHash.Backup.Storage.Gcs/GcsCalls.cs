using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>
/// Sends requests to one bucket: each with a token and a limit on how long no byte may move, its errors translated, tried again when
/// that may help.
/// </summary>
internal sealed class GcsCalls : IDisposable
{
    private readonly StoreRetry _retry;
    private readonly IAccessTokens _tokens;
    private readonly HttpClient _http;

    public GcsCalls(GcsOptions options, IAccessTokens? tokens)
    {
        Options = options.Checked();
        Errors = new GcsErrors(options);
        _tokens = tokens ?? (options.IsEmulated ? new NoTokens() : new GoogleTokens());
        _retry = new StoreRetry(options.Time, options.FirstWait);
        _http = GcsHttp.Make(options.Stall);
    }

    public GcsOptions Options { get; }

    public GcsErrors Errors { get; }

    /// <summary>The address of an object, with what follows the '?'.</summary>
    public Uri ObjectUri(string key, string query) => BucketUri("/storage/v1", $"/o/{Uri.EscapeDataString(Options.Root + key)}?{query}");

    /// <summary>The address of all objects.</summary>
    public Uri ListUri(string query) => BucketUri("/storage/v1", $"/o?{query}");

    /// <summary>The address that new objects are sent to.</summary>
    public Uri UploadUri(string query) => BucketUri("/upload/storage/v1", $"/o?{query}");

    /// <summary>Runs one or several requests as one attempt, until it succeeds or fails for good.</summary>
    /// <param name="attempt">The attempt, with the number of those before it.</param>
    /// <param name="cancel">Cancels.</param>
    public Task<T> RepeatAsync<T>(Func<int, CancellationToken, Task<T>> attempt, CancellationToken cancel) => _retry.RunAsync(attempt, cancel);

    /// <summary>Sends a request once and reads its answer.</summary>
    public Task<T> JsonOnceAsync<T>(GcsTask task, Func<HttpRequestMessage> request, JsonTypeInfo<T> type, CancellationToken cancel) =>
        OnceAsync(
            task,
            _ => request(),
            async (response, guard) =>
            {
                var json = await BytesAsync(response, guard);
                return JsonSerializer.Deserialize(json.Span, type) ?? throw new JsonException("it is null");
            },
            cancel);

    /// <summary>Sends a request once.</summary>
    /// <param name="task">What for.</param>
    /// <param name="request">Makes it; called again with a new token when the first one is not taken.</param>
    /// <param name="read">What is made of an answer with a 2xx or 308; any other is an error. It lets go of the answer.</param>
    /// <param name="cancel">Cancels.</param>
    /// <param name="isSession">It goes to an upload session.</param>
    public async Task<T> OnceAsync<T>(
        GcsTask task,
        Func<StallGuard, HttpRequestMessage> request,
        Func<HttpResponseMessage, StallGuard, Task<T>> read,
        CancellationToken cancel,
        bool isSession = false)
    {
        using var guard = new StallGuard(Options.Stall, Options.Time, cancel);
        try
        {
            return await read(await AnswerAsync(request, guard, isSession), guard);
        }
        catch (Exception e) when (!cancel.IsCancellationRequested && e is not StorageException)
        {
            throw Errors.Of(e, task, guard.HasStalled);
        }
        catch (Exception e) when (cancel.IsCancellationRequested && e is not OperationCanceledException)
        {
            throw new OperationCanceledException(e.Message, e, cancel);
        }
    }

    /// <summary>The whole body of an answer.</summary>
    public static async Task<ReadOnlyMemory<byte>> BytesAsync(HttpResponseMessage response, StallGuard guard)
    {
        using (response)
        {
            await using var body = await response.Content.ReadAsStreamAsync(guard.Token);
            using var whole = new MemoryStream();
            var piece = new byte[16 * 1024];
            int read;
            while ((read = await body.ReadAsync(piece, guard.Token)) > 0)
            {
                guard.Moved();
                whole.Write(piece, 0, read);
            }

            return whole.GetBuffer().AsMemory(0, (int)whole.Length);
        }
    }

    public void Dispose() => _http.Dispose();

    private Uri BucketUri(string start, string rest) =>
        new($"{Options.Address.AbsoluteUri.TrimEnd('/')}{start}/b/{Uri.EscapeDataString(Options.Bucket)}{rest}");

    private async Task<HttpResponseMessage> AnswerAsync(Func<StallGuard, HttpRequestMessage> request, StallGuard guard, bool isSession)
    {
        var response = await SendAsync(request, guard);
        if (response.StatusCode is HttpStatusCode.Unauthorized && await TokenAsync(_tokens.RenewAsync(guard.Token)))
        {
            response.Dispose();
            guard.Moved();
            response = await SendAsync(request, guard);
        }

        if (response.IsSuccessStatusCode || response.StatusCode is HttpStatusCode.PermanentRedirect)
        {
            return response;
        }

        var body = await BytesAsync(response, guard);
        throw GcsRefusal.Read(response, body.Span, isSession, Options.Time.GetUtcNow());
    }

    // What goes wrong here is not the store's doing.
    private static async Task<T> TokenAsync<T>(Task<T> asking)
    {
        try
        {
            return await asking;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new TokenFailure(e);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(Func<StallGuard, HttpRequestMessage> make, StallGuard guard)
    {
        var token = await TokenAsync(_tokens.GetAsync(guard.Token));
        guard.Moved();
        using var request = make(guard);
        if (token is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, guard.Token);
        guard.Moved();
        return response;
    }
}
