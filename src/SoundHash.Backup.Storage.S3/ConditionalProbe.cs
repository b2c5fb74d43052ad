using System.Text;

namespace SoundHash.Backup.Storage.S3;

/// <summary>
/// Finds out once whether the store refuses a conditional write when the object exists: some stores say that they know no
/// condition, and some ignore it.
/// </summary>
internal sealed class ConditionalProbe(S3Calls calls) : IDisposable
{
    /// <summary>The object that it is tried with. It stays, so that the next time takes one request.</summary>
    public const string Key = ".shbackup-probe";

    private readonly SemaphoreSlim _gate = new(1);

    /// <summary>What is known.</summary>
    public ConditionalWrites Known { get; private set; } = calls.Options.ConditionalWrites;

    private bool _tried;

    /// <summary>What is known, having tried it if need be.</summary>
    public async Task<ConditionalWrites> KnowAsync(CancellationToken cancel)
    {
        if (Known is not ConditionalWrites.Unknown)
        {
            return Known;
        }

        await _gate.WaitAsync(cancel);
        try
        {
            if (!_tried)
            {
                Known = await TryAsync(cancel);
                _tried = true;
            }

            return Known;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>A write has shown what was not known.</summary>
    public void Learn(ConditionalWrites known) => Known = known;

    public void Dispose() => _gate.Dispose();

    private async Task<ConditionalWrites> TryAsync(CancellationToken cancel)
    {
        try
        {
            // A repeated request may be refused for the object of the first, which says the same.
            await WriteAsync(cancel);
            await WriteAsync(cancel);
            return ConditionalWrites.Unsupported;
        }
        catch (StorageException e) when (S3Errors.Status(e) == 412)
        {
            return ConditionalWrites.Honoured;
        }
        catch (StorageException e) when (S3Errors.Status(e) == 501 || S3Errors.Is(e, "NotImplemented"))
        {
            return ConditionalWrites.Unsupported;
        }
        catch (StorageException e) when (S3Errors.IsDenied(e))
        {
            // Keys for a part of the bucket only. AWS is known to do it; of others, the first write will tell.
            return calls.Options.Endpoint is null ? ConditionalWrites.Honoured : ConditionalWrites.Unknown;
        }
    }

    private Task<bool> WriteAsync(CancellationToken cancel)
    {
        var body = Encoding.UTF8.GetBytes("shbackup tries here whether this store knows conditional writes\n");
        var requests = new S3Requests(calls.Options, calls.FullKey(Key), ObjectAttributes.None);
        return calls.RunAsync(
            new S3Task("write", Key),
            async (client, guard) =>
            {
                await client.PutObjectAsync(requests.Put(new PartBody(body, body.Length), onlyNew: true, guard.Moved), guard.Token);
                return true;
            },
            cancel);
    }
}
