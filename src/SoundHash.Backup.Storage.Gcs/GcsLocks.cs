using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>Deletes objects, unless they are locked, and locks them.</summary>
internal sealed class GcsLocks(GcsCalls calls, GcsObjects objects)
{
    /// <summary>Deletes an object; one that is not there is no error.</summary>
    public async Task DeleteAsync(string key, CancellationToken cancel)
    {
        var task = new GcsTask("delete", key);
        try
        {
            await calls.RepeatAsync((_, token) => DeleteOnceAsync(task, token), cancel);
        }
        catch (StorageException e) when (GcsErrors.IsMissingObject(e, task))
        {
            // Never there, or gone by an earlier attempt whose answer was lost.
        }
        catch (StorageException e) when (GcsRefusal.Is(e, HttpStatusCode.Forbidden))
        {
            throw await LockOfAsync(task, GcsErrors.IsLocked(e), cancel) ?? e;
        }
    }

    /// <summary>Locks an object until a time, unless it is already for longer.</summary>
    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel) =>
        attributes.RetainUntil is { } until && calls.Options.LockOf(attributes) is var mode and not GcsLock.None
            ? calls.RepeatAsync((_, token) => RetainOnceAsync(new GcsTask("lock", key), new GcsRetention(mode.ToString(), until.ToUniversalTime()), token), cancel)
            : Task.CompletedTask;

    private Task<bool> DeleteOnceAsync(GcsTask task, CancellationToken cancel) => calls.OnceAsync(
        task,
        _ => new HttpRequestMessage(HttpMethod.Delete, calls.ObjectUri(task.Key, string.Empty)),
        static (response, _) =>
        {
            response.Dispose();
            return Task.FromResult(true);
        },
        cancel);

    // Null when the refusal has another reason.
    private async Task<StorageException?> LockOfAsync(GcsTask task, bool isSaid, CancellationToken cancel)
    {
        GcsObject? found = null;
        try
        {
            found = await objects.StatAsync(task, cancel);
        }
        catch (StorageException)
        {
            // The first refusal says more than that it can't be looked at either.
        }

        var isHeld = found is { TemporaryHold: true } or { EventBasedHold: true };
        var until = found?.RetentionExpirationTime ?? found?.Retention?.RetainUntilTime;
        return isSaid || isHeld || until > calls.Options.Time.GetUtcNow()
            ? new ObjectLockedException(calls.Options.Name, task.Key, isHeld ? null : until)
            : null;
    }

    private async Task<bool> RetainOnceAsync(GcsTask task, GcsRetention wanted, CancellationToken cancel)
    {
        var found = await objects.StatOnceAsync(task, cancel) ?? throw new ObjectMissingException(calls.Options.Name, task.Key);
        var mode = found.Retention?.Mode == nameof(GcsLock.Locked) ? nameof(GcsLock.Locked) : wanted.Mode;
        var longest = found.Retention?.RetainUntilTime is { } known && known > wanted.RetainUntilTime ? known : wanted.RetainUntilTime;
        if (found.Retention is { } now && now.RetainUntilTime == longest && now.Mode == mode)
        {
            return true;
        }

        try
        {
            var retention = new GcsRetention(mode, longest);
            await calls.JsonOnceAsync(task, () => Patch(task.Key, found, retention), GcsJson.Default.GcsObject, cancel);
            return true;
        }
        catch (StorageException e) when (GcsRefusal.Is(e, HttpStatusCode.PreconditionFailed))
        {
            throw calls.Errors.Passes(task, "its metadata was changed at the same moment", inner: e);
        }
    }

    // On the condition that nothing has changed since it was looked at: else it might shorten what somebody else has set.
    private HttpRequestMessage Patch(string key, GcsObject found, GcsRetention retention)
    {
        var query = new StringBuilder();
        query.Append(CultureInfo.InvariantCulture, $"generation={found.Generation}&ifMetagenerationMatch={found.Metageneration}");
        query.Append("&fields=").Append(Uri.EscapeDataString(GcsObject.Fields));
        if (found.Retention?.Mode is { } mode && mode != retention.Mode)
        {
            // From unlocked to locked.
            query.Append("&overrideUnlockedRetention=true");
        }

        return new HttpRequestMessage(HttpMethod.Patch, calls.ObjectUri(key, query.ToString()))
        {
            Content = new StringContent(
                JsonSerializer.Serialize(new GcsRetentionPatch(retention), GcsJson.Default.GcsRetentionPatch), Encoding.UTF8, "application/json"),
        };
    }
}
