using System.Runtime.CompilerServices;
using Amazon.S3.Model;

namespace SoundHash.Backup.Storage.S3;

/// <summary>Lists what is under a prefix: objects, and uploads that were never completed.</summary>
internal sealed class S3Listing(S3Calls calls)
{
    /// <summary>All objects of ours.</summary>
    public async IAsyncEnumerable<ObjectInfo> ObjectsAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        var task = new S3Task("list", prefix);
        var request = new ListObjectsV2Request { BucketName = calls.Options.Bucket, Prefix = calls.FullKey(prefix) };
        do
        {
            var page = await calls.RunAsync(task, (client, guard) => client.ListObjectsV2Async(request, guard.Token), cancel);
            foreach (var found in page.S3Objects ?? [])
            {
                if (KeyOf(found.Key) is { } key)
                {
                    yield return new ObjectInfo(key, found.Size ?? 0, S3Objects.WholeSeconds(found.LastModified));
                }
            }

            request.ContinuationToken = Next(task, page.IsTruncated, request.ContinuationToken, page.NextContinuationToken);
        }
        while (request.ContinuationToken is not null);
    }

    /// <summary>Gives up the uploads under a prefix that were begun and last added to before a time.</summary>
    public async Task AbortOldUploadsAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel)
    {
        await foreach (var upload in UploadsAsync(prefix, cancel))
        {
            if (KeyOf(upload.Key) is { } key && await LastTouchedAsync(key, upload, cancel) < olderThan)
            {
                await AbortAsync(key, upload, cancel);
            }
        }
    }

    // What somebody else put under our prefix and has no key of ours is not ours.
    private string? KeyOf(string fullKey)
    {
        var key = fullKey.StartsWith(calls.Options.Root, StringComparison.Ordinal) ? fullKey[calls.Options.Root.Length..] : string.Empty;
        return ObjectKey.IsValid(key) && key != ConditionalProbe.Key ? key : null;
    }

    private async IAsyncEnumerable<MultipartUpload> UploadsAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        var task = new S3Task("list unfinished uploads of", prefix);
        var request = new ListMultipartUploadsRequest { BucketName = calls.Options.Bucket, Prefix = calls.FullKey(prefix) };
        while (true)
        {
            var page = await calls.RunAsync(task, (client, guard) => client.ListMultipartUploadsAsync(request, guard.Token), cancel);
            foreach (var upload in page.MultipartUploads ?? [])
            {
                yield return upload;
            }

            if (page.IsTruncated is not true)
            {
                yield break;
            }

            Next(task, page.IsTruncated, request.KeyMarker + request.UploadIdMarker, page.NextKeyMarker + page.NextUploadIdMarker);
            request.KeyMarker = page.NextKeyMarker;
            request.UploadIdMarker = page.NextUploadIdMarker;
        }
    }

    // An upload of hours is as young as its last part.
    private async Task<DateTimeOffset> LastTouchedAsync(string key, MultipartUpload upload, CancellationToken cancel)
    {
        var task = new S3Task("list parts of", key);
        var last = S3Objects.WholeSeconds(upload.Initiated);
        var request = new ListPartsRequest { BucketName = calls.Options.Bucket, Key = upload.Key, UploadId = upload.UploadId };
        try
        {
            while (true)
            {
                var page = await calls.RunAsync(task, (client, guard) => client.ListPartsAsync(request, guard.Token), cancel);
                last = (page.Parts ?? []).Select(static p => S3Objects.WholeSeconds(p.LastModified)).Append(last).Max();
                if (page.IsTruncated is not true)
                {
                    return last;
                }

                var next = page.NextPartNumberMarker?.ToString(System.Globalization.CultureInfo.InvariantCulture);
                request.PartNumberMarker = Next(task, page.IsTruncated, request.PartNumberMarker, next);
            }
        }
        catch (StorageException e) when (S3Errors.Is(e, "NoSuchUpload"))
        {
            // It was completed or given up meanwhile.
            return DateTimeOffset.MaxValue;
        }
    }

    private async Task AbortAsync(string key, MultipartUpload upload, CancellationToken cancel)
    {
        var request = new AbortMultipartUploadRequest { BucketName = calls.Options.Bucket, Key = upload.Key, UploadId = upload.UploadId };
        try
        {
            await calls.RunAsync(
                new S3Task("give up an unfinished upload of", key),
                (client, guard) => client.AbortMultipartUploadAsync(request, guard.Token),
                cancel);
        }
        catch (StorageException e) when (S3Errors.Is(e, "NoSuchUpload"))
        {
            // Somebody else did, or it was completed.
        }
    }

    // A list that says it goes on without saying where is a broken one, and never a short one.
    private string? Next(S3Task task, bool? truncated, string? token, string? next)
    {
        if (truncated is not true)
        {
            return null;
        }

        return string.IsNullOrEmpty(next) || next == token
            ? throw calls.Errors.Failed(task, "the list is cut off, and the store does not say where it goes on", "run this again; should it stay so, the store is broken")
            : next;
    }
}
