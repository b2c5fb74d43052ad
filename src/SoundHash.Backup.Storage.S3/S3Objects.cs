using System.Globalization;
using Amazon.S3.Model;

namespace SoundHash.Backup.Storage.S3;

/// <summary>Looks at objects and reads them.</summary>
internal sealed class S3Objects(S3Calls calls)
{
    private volatile bool _bucketSeen;

    /// <summary>What the store says of an object, or null when there is none.</summary>
    public Task<GetObjectMetadataResponse?> HeadAsync(string key, CancellationToken cancel) =>
        calls.RepeatAsync(token => HeadOnceAsync(key, token), cancel);

    /// <summary>The same in one attempt, as a part of a larger one.</summary>
    public async Task<GetObjectMetadataResponse?> HeadOnceAsync(string key, CancellationToken cancel)
    {
        var task = new S3Task("read", key);
        try
        {
            return await AskAsync(task, cancel);
        }
        catch (StorageException e) when (S3Errors.Status(e) == 404)
        {
            await SeeBucketAsync(task, cancel);
            return null;
        }
        catch (StorageException e) when (e is not TransientStorageException && S3Errors.Status(e) != 0)
        {
            // An answer to HEAD has no body that could say why; one to GET has. Where that goes well, credentials were renewed.
            return await IsThereAsync(task, cancel) ? await AskAsync(task, cancel) : null;
        }
    }

    /// <summary>Size and time of an object.</summary>
    public static ObjectInfo Describe(string key, GetObjectMetadataResponse found) => new(key, found.ContentLength, WholeSeconds(found.LastModified));

    /// <summary>A time without its fraction: a head says it in seconds, a list may say it finer.</summary>
    public static DateTimeOffset WholeSeconds(DateTime? time)
    {
        var utc = new DateTimeOffset(time.GetValueOrDefault().ToUniversalTime());
        return utc.AddTicks(-(utc.Ticks % TimeSpan.TicksPerSecond));
    }

    /// <summary>Opens an object at an offset; reading goes on where a connection broke, in the same version of it.</summary>
    public async Task<Stream> OpenAsync(string key, long offset, CancellationToken cancel)
    {
        var task = new S3Task("read", key);
        GetObjectResponse first;
        try
        {
            first = await GetAsync(key, offset, etag: null, cancel);
        }
        catch (StorageException e) when (S3Errors.Status(e) == 416)
        {
            // At its end or behind it: S3 has no range of no bytes.
            return await HeadAsync(key, cancel) is null ? throw new ObjectMissingException(calls.Options.Name, key) : Stream.Null;
        }

        var etag = first.ETag;
        return new ResumingRead(new AnswerBody(first), offset, SizeOf(task, offset, first), new ResumeRules(
            async (at, token) => new AnswerBody(await GetAsync(key, at, etag, token)),
            e => calls.Errors.Of(e, task),
            calls.Options.Stall,
            calls.Options.FirstWait,
            calls.Options.Time));
    }

    private async Task<GetObjectMetadataResponse> AskAsync(S3Task task, CancellationToken cancel)
    {
        var request = new GetObjectMetadataRequest { BucketName = calls.Options.Bucket, Key = calls.FullKey(task.Key) };
        var found = await calls.OnceAsync(task, (client, guard) => client.GetObjectMetadataAsync(request, guard.Token), cancel);
        _bucketSeen = true;
        return found;
    }

    private async Task<GetObjectResponse> GetAsync(string key, long offset, string? etag, CancellationToken cancel)
    {
        var task = new S3Task("read", key);
        var request = new GetObjectRequest { BucketName = calls.Options.Bucket, Key = calls.FullKey(key), EtagToMatch = etag };
        if (offset > 0)
        {
            request.ByteRange = new ByteRange(string.Create(CultureInfo.InvariantCulture, $"bytes={offset}-"));
        }

        try
        {
            var answer = await calls.RunAsync(task, (client, guard) => client.GetObjectAsync(request, guard.Token), cancel);
            SizeOf(task, offset, answer);
            return answer;
        }
        catch (StorageException e) when (S3Errors.Is(e, "NoSuchKey"))
        {
            throw new ObjectMissingException(calls.Options.Name, key);
        }
        catch (StorageException e) when (S3Errors.Status(e) == 412)
        {
            throw calls.Errors.Failed(task, "the object was replaced while it was read", "run this again", e);
        }
    }

    // Of a range the whole size is behind the '/'. A store that ignores the range would hand out wrong bytes.
    private long SizeOf(S3Task task, long offset, GetObjectResponse answer)
    {
        if (offset == 0)
        {
            return answer.ContentLength;
        }

        var expected = string.Create(CultureInfo.InvariantCulture, $"bytes {offset}-");
        return answer.ContentRange is { } range && range.StartsWith(expected, StringComparison.Ordinal)
            && long.TryParse(range.Split('/')[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var size)
            ? size
            : throw calls.Errors.Failed(task, $"bytes from {offset} on were asked for, and '{answer.ContentRange}' came");
    }

    private async Task SeeBucketAsync(S3Task task, CancellationToken cancel)
    {
        if (_bucketSeen)
        {
            return;
        }

        try
        {
            await ExplainAsync(task, cancel);
        }
        catch (StorageException e) when (S3Errors.Is(e, "NoSuchKey") || S3Errors.IsDenied(e))
        {
            // The object is missing, and not the bucket.
        }

        _bucketSeen = true;
    }

    private async Task<bool> IsThereAsync(S3Task task, CancellationToken cancel)
    {
        try
        {
            await ExplainAsync(task, cancel);
            return true;
        }
        catch (StorageException e) when (S3Errors.Is(e, "NoSuchKey"))
        {
            _bucketSeen = true;
            return false;
        }
    }

    private async Task ExplainAsync(S3Task task, CancellationToken cancel)
    {
        var request = new GetObjectRequest
        {
            BucketName = calls.Options.Bucket,
            Key = calls.FullKey(task.Key),
            ByteRange = new ByteRange("bytes=0-0"),
        };
        try
        {
            using var answer = await calls.OnceAsync(task, (client, guard) => client.GetObjectAsync(request, guard.Token), cancel);
        }
        catch (StorageException e) when (S3Errors.Status(e) == 416)
        {
            // It is there, and empty.
        }
    }
}
