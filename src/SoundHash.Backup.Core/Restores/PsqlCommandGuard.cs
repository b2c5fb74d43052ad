using System.Text;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Reads a script as psql does (src/fe_utils/psqlscan.l) and refuses psql's own commands: \! and many others run programs and touch
/// files as the user that runs us, who may be root. In string constants, comments and the data of COPY a backslash is none.
/// Anywhere else it begins a command, also in the middle of a line. Those that pg_dump writes are let through.
/// </summary>
internal sealed class PsqlCommandGuard(string path)
{
    private const byte Quote = (byte)'\'';
    private static readonly string[] Harmless = [".", "restrict", "unrestrict"];

    private readonly PsqlStatement _statement = new();
    private readonly List<byte> _tag = [];
    private readonly StringBuilder _command = new();
    private Place _place;
    private byte _last;
    private int _depth;
    private int _matched;
    private bool _skips;
    private Continuation _continuation;

    // COPY's rows begin at the next line, after whatever else the line of COPY holds.
    private int _copies;
    private bool _inRows;
    private readonly byte[] _row = new byte[4];
    private int _rowLength;

    private enum Place
    {
        Sql, Word, Plain, Escaped, Name, Line, Comment, Tag, Dollar, Command,
    }

    // A constant goes on behind a line end in the way in which it began, which the next quote alone does not tell.
    private enum Continuation
    {
        None, Adjacent, SameLine, NextLine,
    }

    /// <summary>Reads the next bytes of the script.</summary>
    /// <exception cref="BackupException">There is a command in them.</exception>
    public void Read(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = _inRows ? ReadRow(bytes) : ReadSql(bytes);
        }
    }

    private ReadOnlySpan<byte> ReadRow(ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOf((byte)'\n');
        var line = end < 0 ? bytes : bytes[..end];
        var kept = line[..Math.Min(line.Length, _row.Length - _rowLength)];
        kept.CopyTo(_row.AsSpan(_rowLength));
        _rowLength += kept.Length;
        if (end < 0)
        {
            return [];
        }

        var row = _row.AsSpan(0, _rowLength);
        _copies -= row.SequenceEqual("\\."u8) || row.SequenceEqual("\\.\r"u8) ? 1 : 0;
        _inRows = _copies > 0;
        _rowLength = 0;
        return bytes[(end + 1)..];
    }

    private ReadOnlySpan<byte> ReadSql(ReadOnlySpan<byte> bytes)
    {
        // What can't end a constant or a comment is passed over at once, but for line ends, behind which rows may begin.
        var skip = _skips || _copies > 0 ? 0 : _place switch
        {
            Place.Plain => bytes.IndexOf(Quote),
            Place.Escaped => bytes.IndexOfAny(Quote, (byte)'\\'),
            Place.Name => bytes.IndexOf((byte)'"'),
            Place.Line => bytes.IndexOfAny((byte)'\n', (byte)'\r'),
            _ => 0,
        };
        if (skip < 0)
        {
            return [];
        }

        var value = bytes[skip];
        while (!Take(value))
        {
        }

        if (value == (byte)'\n' && _copies > 0)
        {
            _inRows = true;
        }

        return bytes[(skip + 1)..];
    }

    // False when the byte ended something and is to be looked at again as what comes after it.
    private bool Take(byte value)
    {
        switch (_place)
        {
            case Place.Plain:
                _place = value == Quote ? Place.Sql : Place.Plain;
                return true;
            case Place.Name:
                _place = value == (byte)'"' ? Place.Sql : Place.Name;
                return true;
            case Place.Escaped:
                var ends = !_skips && value == Quote;
                _skips = !_skips && value == (byte)'\\';
                (_place, _continuation) = ends ? (Place.Sql, Continuation.Adjacent) : (Place.Escaped, Continuation.None);
                return true;
            case Place.Line:
                _place = value is (byte)'\n' or (byte)'\r' ? Place.Sql : Place.Line;
                return _place == Place.Line;
            case Place.Comment:
                TakeComment(value);
                return true;
            case Place.Dollar:
                TakeDollar(value);
                return true;
            case Place.Tag:
                return TakeTag(value);
            case Place.Word:
                return TakeWord(value);
            case Place.Command:
                return TakeCommand(value);
            default:
                TakeSql(value);
                return true;
        }
    }

    private void TakeSql(byte value)
    {
        var last = _last;
        _last = value;
        var before = _continuation;
        _continuation = (before, value) switch
        {
            (Continuation.None, _) => Continuation.None,
            (_, (byte)'\n' or (byte)'\r') => Continuation.NextLine,
            (Continuation.NextLine, (byte)' ' or (byte)'\t' or (byte)'\f' or (byte)'\v' or (byte)'-' or (byte)'/') => Continuation.NextLine,
            (_, (byte)' ' or (byte)'\t' or (byte)'\f' or (byte)'\v' or (byte)'-' or (byte)'/') => Continuation.SameLine,
            _ => Continuation.None,
        };
        switch (value)
        {
            case Quote when before == Continuation.NextLine:
                throw Refused("a string constant E'…' that goes on in another line, which can't be told apart from what follows");
            case Quote:
                _place = before == Continuation.Adjacent || _statement.PlainHasEscapes ? Place.Escaped : Place.Plain;
                break;
            case (byte)'"':
                _place = Place.Name;
                break;
            case (byte)'-' when last == (byte)'-':
                (_place, _last) = (Place.Line, 0);
                break;
            case (byte)'*' when last == (byte)'/':
                (_place, _last, _depth) = (Place.Comment, 0, 1);
                break;
            case (byte)'$':
                _tag.Clear();
                _place = Place.Tag;
                break;
            case (byte)'\\':
                _command.Clear();
                _place = Place.Command;
                break;
            case (byte)'(' or (byte)')':
                _statement.Nest(value == (byte)'(' ? 1 : -1);
                break;
            case (byte)';':
                _copies += _statement.End() ? 1 : 0;
                break;
            default:
                if (PsqlStatement.IsWord(value, first: true))
                {
                    _statement.Begin(value);
                    _place = Place.Word;
                }

                break;
        }
    }

    private bool TakeWord(byte value)
    {
        if (PsqlStatement.IsWord(value, first: false) || value == (byte)'$')
        {
            _statement.Add(value);
            return true;
        }

        _place = Place.Sql;
        _last = 0;
        if (_statement.EndWord() && value == Quote)
        {
            _place = Place.Escaped;
            return true;
        }

        return false;
    }

    private void TakeComment(byte value)
    {
        var change = (_last, value) switch { ((byte)'/', (byte)'*') => 1, ((byte)'*', (byte)'/') => -1, _ => 0 };
        _depth += change;
        _last = change == 0 ? value : (byte)0;
        _place = _depth > 0 ? Place.Comment : Place.Sql;
    }

    private bool TakeTag(byte value)
    {
        if (value == (byte)'$')
        {
            (_place, _matched) = (Place.Dollar, -1);
            return true;
        }

        if (PsqlStatement.IsWord(value, first: _tag.Count == 0))
        {
            _tag.Add(value);
            return true;
        }

        // No quote after all: $1, or a word behind a lone dollar.
        _place = _tag.Count > 0 ? Place.Word : Place.Sql;
        _last = 0;
        for (var i = 0; i < _tag.Count; i++)
        {
            if (i == 0)
            {
                _statement.Begin(_tag[i]);
            }
            else
            {
                _statement.Add(_tag[i]);
            }
        }

        return false;
    }

    private void TakeDollar(byte value)
    {
        if (value == (byte)'$')
        {
            (_place, _matched, _last) = (_matched == _tag.Count ? Place.Sql : Place.Dollar, 0, 0);
            return;
        }

        _matched = _matched >= 0 && _matched < _tag.Count && _tag[_matched] == value ? _matched + 1 : -1;
    }

    private bool TakeCommand(byte value)
    {
        if (value == (byte)'\n')
        {
            _place = IsHarmless($"{_command} ") ? Place.Sql : throw Command();
            return false;
        }

        // In arguments, `program` is run and the next backslash begins another command.
        _command.Append(value is (byte)'\r' or (byte)'\t' ? ' ' : (char)value);
        var text = $"{_command}";
        var isName = Array.Exists(Harmless, n => n.StartsWith(text, StringComparison.Ordinal));
        if (!isName && !(IsHarmless(text) && (text[^1] == ' ' || char.IsAsciiLetterOrDigit(text[^1]))))
        {
            throw Command();
        }

        return true;
    }

    private static bool IsHarmless(string command) =>
        Array.Exists(Harmless, n => command.StartsWith($"{n} ", StringComparison.Ordinal));

    private BackupException Command() => Refused($"psql's own command \\{_command}");

    private BackupException Refused(string what) => new(
        ErrorKind.Usage,
        $"{path} has {what}: such a script can run programs and write files as the user that restores it, and is not run",
        "pg_dump writes nothing of the kind; look at the file, and remove that line, or run it with psql --file yourself");
}
