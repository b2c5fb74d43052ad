using Amazon;
using Amazon.Runtime;
using Amazon.Runtime.Credentials;
using Amazon.S3;

namespace SoundHash.Backup.Storage.S3;

/// <summary>What is being done with which object, for messages.</summary>
/// <param name="Verb">What is done: "write", "read", "list", "delete", "lock".</param>
/// <param name="Key">The object's key in the store, or a prefix.</param>
internal readonly record struct S3Task(string Verb, string Key)
{
    /// <summary>How many times as long as usual nothing may move: a store that puts a large object together is silent meanwhile.</summary>
    public int Patience { get; init; } = 1;
}

/// <summary>
/// Sends requests to one bucket: each with a limit on how long no byte may move, its errors translated, tried again when that may
/// help. The SDK's own retries are off, since they would multiply with ours and can't tell whose an object is.
/// </summary>
internal sealed class S3Calls : IDisposable
{
    private static readonly TimeSpan LongestConnect = TimeSpan.FromSeconds(15);

    private readonly Lock _lock = new();
    private readonly StoreRetry _retry;
    private readonly S3Http _http;
    private AWSCredentials? _credentials;
    private AmazonS3Client? _client;

    public S3Calls(S3Options options, AWSCredentials? credentials)
    {
        Options = options;
        Errors = new S3Errors(options);
        _credentials = credentials;
        _retry = new StoreRetry(options.Time, options.FirstWait);
        _http = new S3Http(options.Stall < LongestConnect ? options.Stall : LongestConnect);
    }

    public S3Options Options { get; }

    public S3Errors Errors { get; }

    /// <summary>The object's name in the bucket.</summary>
    public string FullKey(string key) => Options.Root + key;

    /// <summary>Sends a request until it is answered, or fails for good.</summary>
    public Task<T> RunAsync<T>(S3Task task, Func<IAmazonS3, StallGuard, Task<T>> request, CancellationToken cancel) =>
        _retry.RunAsync((_, token) => OnceAsync(task, request, token), cancel);

    /// <summary>Runs several requests as one attempt; the whole of it is tried again.</summary>
    public Task<T> RepeatAsync<T>(Func<CancellationToken, Task<T>> attempt, CancellationToken cancel) =>
        _retry.RunAsync((_, token) => attempt(token), cancel);

    /// <summary>Sends a request once.</summary>
    public async Task<T> OnceAsync<T>(S3Task task, Func<IAmazonS3, StallGuard, Task<T>> request, CancellationToken cancel)
    {
        try
        {
            return await GuardedAsync(task, request, cancel);
        }
        catch (StorageException e) when (S3Errors.IsExpired(e) && RenewCredentials())
        {
            return await GuardedAsync(task, request, cancel);
        }
    }

    public void Dispose()
    {
        _client?.Dispose();
        _http.Dispose();
    }

    private async Task<T> GuardedAsync<T>(S3Task task, Func<IAmazonS3, StallGuard, Task<T>> request, CancellationToken cancel)
    {
        using var guard = new StallGuard(Options.Stall * task.Patience, Options.Time, cancel);
        try
        {
            return await request(Client(), guard);
        }
        catch (Exception e) when (!cancel.IsCancellationRequested && e is not StorageException)
        {
            throw guard.HasStalled ? Errors.Stalled(e, task) : Errors.Of(e, task);
        }
        catch (Exception e) when (cancel.IsCancellationRequested && e is not OperationCanceledException)
        {
            // Cancelled within the SDK, what comes of it is not always said as such.
            throw new OperationCanceledException(e.Message, e, cancel);
        }
    }

    // Those of a role are thrown away and fetched again; others are what they are.
    private bool RenewCredentials()
    {
        lock (_lock)
        {
            if (_credentials is not RefreshingAWSCredentials refreshing)
            {
                return false;
            }

            refreshing.ClearCredentials();
            return true;
        }
    }

    // Made by the first request, since finding credentials may take requests too.
    private AmazonS3Client Client()
    {
        lock (_lock)
        {
            if (_client is null)
            {
                var config = Config();
                _credentials ??= DefaultAWSCredentialsIdentityResolver.GetCredentials(config);
                _client = new AmazonS3Client(_credentials, config);
            }

            return _client;
        }
    }

    private AmazonS3Config Config()
    {
        var config = new AmazonS3Config
        {
            MaxErrorRetry = 0,
            MaxStaleConnectionRetries = 0,
            HttpClientFactory = _http,
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            // A clock that is wrong is said: the times of backups come from it.
            DisableClockSkewCorrection = true,
        };
        if (Options.Profile is { } profile)
        {
            config.Profile = new Profile(profile);
        }

        if (Options.Endpoint is { } endpoint)
        {
            config.ServiceURL = endpoint.AbsoluteUri;
            config.AuthenticationRegion = Options.Region ?? "us-east-1";
            config.ForcePathStyle = true;
        }
        else if (Options.Region is { } region)
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        }

        return config;
    }
}
