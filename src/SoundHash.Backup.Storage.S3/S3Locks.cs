using Amazon.S3;
using Amazon.S3.Model;

namespace SoundHash.Backup.Storage.S3;

/// <summary>What the bucket keeps locked, and what is to be locked.</summary>
internal sealed class S3Locks(S3Calls calls, S3Objects objects) : IDisposable
{
    private readonly SemaphoreSlim _gate = new(1);
    private bool? _mayLock;

    /// <summary>The SDK's word for a mode, or null for none.</summary>
    public static ObjectLockMode? ModeOf(S3Lock mode) => mode switch
    {
        S3Lock.Governance => ObjectLockMode.Governance,
        S3Lock.Compliance => ObjectLockMode.Compliance,
        _ => null,
    };

    /// <summary>
    /// Throws when an object is locked. The store itself would not: in a bucket with versions, deleting hides a locked object
    /// behind a marker.
    /// </summary>
    public Task CheckDeletedAsync(string key, CancellationToken cancel) => CheckAsync(new S3Task("delete", key), cancel);

    private async Task CheckAsync(S3Task task, CancellationToken cancel)
    {
        var key = task.Key;
        if (!await MayLockAsync(task, cancel) || await objects.HeadAsync(key, cancel) is not { } found)
        {
            return;
        }

        var until = UntilOf(found);
        if (found.ObjectLockLegalHoldStatus == ObjectLockLegalHoldStatus.On)
        {
            throw new ObjectLockedException(calls.Options.Name, key, until: null);
        }

        if (until > calls.Options.Time.GetUtcNow())
        {
            throw new ObjectLockedException(calls.Options.Name, key, until);
        }
    }

    /// <summary>
    /// The same for an object that is to be replaced. Where nobody may look, the store keeps the locked version below the new one.
    /// </summary>
    public async Task CheckReplacedAsync(string key, CancellationToken cancel)
    {
        try
        {
            await CheckAsync(new S3Task("write", key), cancel);
        }
        catch (StorageException e) when (S3Errors.IsDenied(e))
        {
            // Keys that may only write.
        }
    }

    /// <summary>Locks an object until a time, unless it is for longer already.</summary>
    public async Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel)
    {
        if (attributes.RetainUntil is not { } until || ModeOf(calls.Options.LockOf(attributes)) is not { } mode)
        {
            return;
        }

        var found = await objects.HeadAsync(key, cancel) ?? throw new ObjectMissingException(calls.Options.Name, key);
        // What is locked for compliance can't be made less.
        var stronger = found.ObjectLockMode == ObjectLockMode.Compliance ? ObjectLockMode.Compliance : mode;
        var known = UntilOf(found);
        if (known >= until && found.ObjectLockMode == stronger)
        {
            return;
        }

        var request = new PutObjectRetentionRequest
        {
            BucketName = calls.Options.Bucket,
            Key = calls.FullKey(key),
            Retention = new ObjectLockRetention
            {
                Mode = ObjectLockRetentionMode.FindValue(stronger.Value),
                RetainUntilDate = (known > until ? known.Value : until).UtcDateTime,
            },
        };
        await calls.RunAsync(new S3Task("lock", key), (client, guard) => client.PutObjectRetentionAsync(request, guard.Token), cancel);
    }

    public void Dispose() => _gate.Dispose();

    private static DateTimeOffset? UntilOf(GetObjectMetadataResponse found) =>
        found.ObjectLockMode is not null && found.ObjectLockRetainUntilDate is { } until ? new DateTimeOffset(until.ToUniversalTime()) : null;

    private static bool SaysNothingOfLocks(StorageException e) =>
        e is not TransientStorageException
        && S3Errors.Status(e) >= 400
        && (S3Errors.Status(e) is not (401 or 403) || S3Errors.IsDenied(e))
        && !S3Errors.Is(e, "NoSuchBucket", "ExpiredToken", "AuthorizationHeaderMalformed");

    // Asked once: a bucket can't lose its locks.
    private async Task<bool> MayLockAsync(S3Task task, CancellationToken cancel)
    {
        await _gate.WaitAsync(cancel);
        try
        {
            return _mayLock ??= await AskAsync(task, cancel);
        }
        finally
        {
            _gate.Release();
        }
    }

    private async Task<bool> AskAsync(S3Task task, CancellationToken cancel)
    {
        var request = new GetObjectLockConfigurationRequest { BucketName = calls.Options.Bucket };
        try
        {
            var answer = await calls.RunAsync(task, (client, guard) => client.GetObjectLockConfigurationAsync(request, guard.Token), cancel);
            return answer.ObjectLockConfiguration?.ObjectLockEnabled == ObjectLockEnabled.Enabled;
        }
        catch (StorageException e) when (SaysNothingOfLocks(e))
        {
            // It has none, or knows no such question, or these credentials may not ask.
            return calls.Options.Locks;
        }
    }
}
