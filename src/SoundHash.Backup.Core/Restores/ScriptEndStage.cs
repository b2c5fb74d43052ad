using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Reads an SQL script and knows pg_dump's own: one that begins as a dump and does not end as one is cut, which is
/// thrown in place of its end.
/// </summary>
internal sealed class ScriptEndStage(Stream source, string path) : ReadStage
{
    private const int Keep = 1024;

    private readonly byte[] _tail = new byte[Keep];
    private int _kept;
    private bool? _isDump;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await source.ReadAsync(buffer, cancellationToken);
        if (read > 0)
        {
            _isDump ??= buffer.Span[..Math.Min(read, Keep)].IndexOf("-- PostgreSQL database dump"u8) >= 0;
            Remember(buffer.Span[..read]);
        }
        else if (buffer.Length > 0 && _isDump == true
                 && !Encoding.UTF8.GetString(_tail, 0, _kept).Contains("dump complete", StringComparison.Ordinal))
        {
            throw new BackupException(
                ErrorKind.Verification, $"{path} is cut: it begins as a dump of pg_dump, and \"-- PostgreSQL database dump complete\" is missing at its end", "use a whole file");
        }

        return read;
    }

    public override ValueTask DisposeAsync() => source.DisposeAsync();

    private void Remember(ReadOnlySpan<byte> bytes)
    {
        var take = Math.Min(bytes.Length, Keep);
        var drop = Math.Max(_kept + take - Keep, 0);
        _tail.AsSpan(drop, _kept - drop).CopyTo(_tail);
        _kept -= drop;
        bytes[^take..].CopyTo(_tail.AsSpan(_kept));
        _kept += take;
    }
}
