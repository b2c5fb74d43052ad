using System.Runtime.CompilerServices;
using Serilog;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Copies;

/// <summary>
/// Reads from several stores as if they were one. What is read is compared with its hash by whoever reads it, as ever. That something is
/// not there is said only when every store says so.
/// </summary>
/// <param name="stores">The stores, the nearest first.</param>
/// <param name="copiesOf">The copies of a set.</param>
/// <param name="log">Hears when another store takes over.</param>
public sealed class JoinedReader(IReadOnlyList<IObjectStore> stores, Func<string, IReadOnlyList<SetCopy>> copiesOf, ILogger log) : IObjectStore
{
    private volatile bool _hasGoneOver;

    /// <summary>The archives of WAL in several stores as one.</summary>
    public static IObjectStore OfWal(IReadOnlyList<IObjectStore> stores, ILogger log) =>
        stores is [var only] ? only : new JoinedReader(stores, static _ => [], log);

    /// <summary>True when a copy turned out to be damaged and another one took over.</summary>
    internal bool HasGoneOver => _hasGoneOver;

    /// <inheritdoc/>
    public string Name { get; } = string.Join("+", stores.Select(static s => s.Name));

    /// <summary>Opens something of an object, and goes over to the next copy where one is damaged; see <see cref="CopiedObjectStage"/>.</summary>
    /// <param name="key">The object.</param>
    /// <param name="subject">What is read, for messages.</param>
    /// <param name="open">Opens it from a store.</param>
    /// <param name="cancel">Cancels.</param>
    internal Task<Stream> OpenAnyAsync(string key, string subject, Func<IObjectStore, CancellationToken, Task<Stream>> open, CancellationToken cancel)
    {
        var able = With(key);
        return able.Count > 1
            ? CopiedObjectStage.OpenAsync(subject, able.Count, (copy, token) => OpenAsync(able.Skip(copy).ToList(), token), log, cancel)
            : open(this, cancel);

        Task<Stream> OpenAsync(List<IObjectStore> left, CancellationToken token)
        {
            _hasGoneOver |= left.Count < able.Count;
            return open(new JoinedReader(left, static _ => [], log), token);
        }
    }

    /// <inheritdoc/>
    public async Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel)
    {
        var stream = new CopyStream(key, offset, With(key), log);
        try
        {
            await stream.OpenAsync(cancel);
            return stream;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel)
    {
        StorageException? failure = null;
        foreach (var store in With(key))
        {
            try
            {
                if (await store.StatAsync(key, cancel) is { } found)
                {
                    return found;
                }
            }
            catch (StorageException e)
            {
                failure = e;
            }
        }

        return failure is null ? null : throw failure;
    }

    /// <inheritdoc/>
    public async Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel)
    {
        StorageException? failure = null;
        foreach (var store in With(key))
        {
            try
            {
                if (await store.ConfirmAsync(key, cancel) is { } found)
                {
                    return found;
                }
            }
            catch (StorageException e)
            {
                failure = e;
            }
        }

        return failure is null ? null : throw failure;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        var seen = new HashSet<string>();
        foreach (var store in stores)
        {
            await foreach (var item in store.ListAsync(prefix, cancel))
            {
                if (seen.Add(item.Key))
                {
                    yield return item;
                }
            }
        }
    }

    /// <inheritdoc/>
    public Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel) => throw ReadOnly();

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancel) => throw ReadOnly();

    /// <inheritdoc/>
    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel) => throw ReadOnly();

    /// <inheritdoc/>
    public Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel) => throw ReadOnly();

    /// <inheritdoc/>
    public Task<long?> FreeBytesAsync(CancellationToken cancel) => Task.FromResult<long?>(null);

    private static NotSupportedException ReadOnly() => new("the copies of a set are written one by one");

    // Of a set, the stores whose copy has the object as long as it should be; where none has, those that hold anything of it, whose
    // error then tells. An object of another set with the same id is never mixed in.
    private List<IObjectStore> With(string key)
    {
        if (key.Split('/') is not [RepositoryLayout.Sets, var id, var name])
        {
            return [.. stores];
        }

        var copies = copiesOf(id).Where(static c => c.Belongs).ToList();
        var able = copies.Where(c => MergedSet.Has(c, name)).OrderBy(static c => c.State).Select(static c => c.Store).ToList();
        return able.Count > 0 ? able : copies.Count > 0 ? copies.ConvertAll(static c => c.Store) : [.. stores];
    }

    /// <summary>An object, read on from another store where one fails in its middle.</summary>
    private sealed class CopyStream(string key, long offset, IReadOnlyList<IObjectStore> stores, ILogger log) : ReadStage
    {
        private Stream? _current;
        private int _store;
        private long _at = offset;
        private StorageException? _failure;

        public async Task OpenAsync(CancellationToken cancel)
        {
            while (_current is null)
            {
                try
                {
                    _current = await stores[_store].OpenReadAsync(key, _at, cancel);
                }
                catch (StorageException e) when (_store + 1 < stores.Count && !cancel.IsCancellationRequested)
                {
                    await GoOverAsync(e);
                }
                catch (ObjectMissingException) when (_failure is not null)
                {
                    // It may be in the one that could not be asked.
                    throw _failure;
                }
            }
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            while (true)
            {
                await OpenAsync(cancellationToken);
                try
                {
                    var read = await _current!.ReadAsync(buffer, cancellationToken);
                    _at += read;
                    return read;
                }
                catch (StorageException e) when (_store + 1 < stores.Count && !cancellationToken.IsCancellationRequested)
                {
                    await GoOverAsync(e);
                }
            }
        }

        public override ValueTask DisposeAsync() => _current?.DisposeAsync() ?? ValueTask.CompletedTask;

        private async Task GoOverAsync(StorageException why)
        {
            await DisposeAsync();
            _current = null;
            _store++;
            if (why is ObjectMissingException)
            {
                return;
            }

            _failure ??= why;
            log.Warning("{Message:l}; {Key:l} is read on from store {Store:l}, at byte {Offset}", why.Message, key, stores[_store].Name, _at);
        }
    }
}
