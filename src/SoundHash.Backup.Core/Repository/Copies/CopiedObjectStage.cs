using System.IO.Hashing;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Repository.Copies;

/// <summary>
/// The plain bytes of an object of which there are several copies. Where one turns out to be damaged, the next is read from its
/// beginning, and goes on where the first one ended: but only when all that was given out until then is the same in both. Else it is in
/// use already, and nothing but to start over helps.
/// </summary>
/// <param name="subject">What is read, for messages.</param>
/// <param name="copies">How many copies there are.</param>
/// <param name="open">Opens the plain bytes without the first so many copies.</param>
/// <param name="log">Hears when another copy takes over.</param>
internal sealed class CopiedObjectStage(string subject, int copies, Func<int, CancellationToken, Task<Stream>> open, ILogger log) : ReadStage
{
    private readonly XxHash128 _given = new();
    private Stream? _current;
    private long _at;
    private int _copy;

    /// <summary>Opens the first copy that can be opened; the last one's error is thrown here, and not by the first read.</summary>
    public static async Task<Stream> OpenAsync(
        string subject, int copies, Func<int, CancellationToken, Task<Stream>> open, ILogger log, CancellationToken cancel)
    {
        var stage = new CopiedObjectStage(subject, copies, open, log);
        stage._current = await stage.NextAsync(null, cancel);
        return stage;
    }

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            try
            {
                var read = await (_current ?? throw new InvalidOperationException("it has failed")).ReadAsync(buffer, cancellationToken);
                _given.Append(buffer.Span[..read]);
                _at += read;
                return read;
            }
            catch (BackupException e) when (IsDamage(e) && _copy + 1 < copies && !cancellationToken.IsCancellationRequested)
            {
                await DisposeAsync();
                _current = null;
                _copy++;
                _current = await NextAsync(e, cancellationToken);
            }
        }
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync() => _current?.DisposeAsync() ?? ValueTask.CompletedTask;

    // A key that does not fit is none of the copy's; DamageBeforeKeyStage tells them apart.
    private static bool IsDamage(BackupException e) => e.Kind is ErrorKind.Verification or ErrorKind.Storage;

    private async Task<Stream> NextAsync(BackupException? damage, CancellationToken cancel)
    {
        while (true)
        {
            Stream? next = null;
            try
            {
                next = await open(_copy, cancel);
                if (damage is not null)
                {
                    await SkipAsync(next, damage, cancel);
                    log.Warning("{Message:l}; {Subject:l} is read on from another copy, at byte {Offset}", damage.Message, subject, _at);
                }

                return next;
            }
            catch (BackupException e) when (IsDamage(e) && _copy + 1 < copies && !cancel.IsCancellationRequested)
            {
                await (next?.DisposeAsync() ?? ValueTask.CompletedTask);
                damage ??= e;
                _copy++;
            }
            catch
            {
                await (next?.DisposeAsync() ?? ValueTask.CompletedTask);
                throw;
            }
        }
    }

    private async Task SkipAsync(Stream next, BackupException damage, CancellationToken cancel)
    {
        var hash = new XxHash128();
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        for (var left = _at; left > 0;)
        {
            var read = await next.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), cancel);
            if (read == 0)
            {
                throw damage;
            }

            hash.Append(buffer.AsSpan(0, read));
            left -= read;
        }

        if (!hash.GetCurrentHash().AsSpan().SequenceEqual(_given.GetCurrentHash()))
        {
            throw new BackupException(
                damage.Kind,
                $"{damage.Message}, and some of its damaged bytes were used before that was seen",
                "shbackup backup verify --all tells which copy is good; start over with --from STORE",
                damage);
        }
    }
}
