using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Reads an SQL script and knows pg_dump's own: one that begins as a dump and does not end as one is cut, which is
/// thrown in place of its end. A script that makes or enters databases by itself (pg_dump --create, pg_dumpall) is
/// refused before that line is passed on: it would fill the live database whatever target was asked for. So are psql's
/// own commands.
/// </summary>
internal sealed class ScriptEndStage(Stream source, string path) : ReadStage
{
    private const int Keep = 1024;
    private const int LongestStart = 16;

    private static readonly string[] Leaving = ["\\connect", "\\c ", "CREATE DATABASE ", "DROP DATABASE "];
    private static readonly string[] Rows = ["COPY ", "INSERT "];

    private readonly PsqlCommandGuard _commands = new(path);
    private readonly byte[] _line = new byte[LongestStart];
    private int _lineLength;
    private bool _rowsBegan;

    private readonly ByteTail _tail = new(Keep);
    private bool? _isDump;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await source.ReadAsync(buffer, cancellationToken);
        if (read > 0)
        {
            _isDump ??= buffer.Span[..Math.Min(read, Keep)].IndexOf("-- PostgreSQL database dump"u8) >= 0;
            CheckLines(buffer.Span[..read]);
            _commands.Read(buffer.Span[..read]);
            _tail.Add(buffer.Span[..read]);
        }
        else if (buffer.Length > 0 && _isDump == true
                 && !Encoding.UTF8.GetString(_tail.Bytes).Contains("dump complete", StringComparison.Ordinal))
        {
            throw new BackupException(
                ErrorKind.Verification,
                $"{path} is cut: it begins as a dump of pg_dump, and \"-- PostgreSQL database dump complete\" is missing at its end",
                "use a whole file");
        }

        return read;
    }

    public override ValueTask DisposeAsync() => source.DisposeAsync();

    // Such scripts say so before their first rows; in rows the same words mean nothing.
    private void CheckLines(ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            if (_rowsBegan)
            {
                return;
            }

            if (value == (byte)'\n')
            {
                _lineLength = 0;
            }
            else if (_lineLength < LongestStart)
            {
                _line[_lineLength++] = value;
                CheckStart(Encoding.UTF8.GetString(_line, 0, _lineLength));
            }
        }
    }

    private void CheckStart(string start)
    {
        _rowsBegan = Array.Exists(Rows, r => start.Equals(r, StringComparison.OrdinalIgnoreCase));
        if (Array.Exists(Leaving, l => start.Equals(l, StringComparison.OrdinalIgnoreCase)))
        {
            throw new BackupException(
                ErrorKind.Usage,
                $"{path} makes or enters other databases by itself ({start.Trim()} …), so that it can't be restored into a chosen one",
                "it is of pg_dump --create or pg_dumpall: run it with psql --set=ON_ERROR_STOP=1 --file on a server where that does no harm");
        }
    }
}
