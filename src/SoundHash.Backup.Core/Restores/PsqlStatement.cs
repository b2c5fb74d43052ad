using System.Text;

namespace SoundHash.Backup.Restores;

/// <summary>What psql knows of the statement that it reads, as far as it says where the statement ends and whether rows follow it.</summary>
internal sealed class PsqlStatement
{
    private const string StringsSetting = "standard_conforming_strings";

    // The first letters of CREATE [OR REPLACE] FUNCTION or PROCEDURE, whose body BEGIN ATOMIC … END has semicolons of its own.
    private static readonly string[] Routine = ["create", "function", "procedure", "or", "replace"];

    private readonly StringBuilder _word = new();
    private readonly StringBuilder _heads = new();
    private string _first = string.Empty;
    private string _previous = string.Empty;
    private int _words;
    private int _parentheses;
    private int _blocks;
    private bool _copiesIn;
    private bool _setsStrings;

    /// <summary>True when a backslash escapes in constants without an E too: the script has switched standard_conforming_strings off.</summary>
    public bool PlainHasEscapes { get; private set; }

    /// <summary>True for the bytes of names and keywords.</summary>
    public static bool IsWord(byte value, bool first) =>
        value >= 0x80 || value == (byte)'_' || char.IsAsciiLetter((char)value) || (!first && char.IsAsciiDigit((char)value));

    /// <summary>The first byte of a word.</summary>
    public void Begin(byte value) => _word.Clear().Append((char)value);

    /// <summary>A further byte of a word.</summary>
    public void Add(byte value)
    {
        if (_word.Length <= StringsSetting.Length)
        {
            _word.Append((char)value);
        }
    }

    /// <summary>The word has ended.</summary>
    /// <returns>True when it is the E of a constant, if a quote follows.</returns>
    public bool EndWord()
    {
        var word = $"{_word}".ToLowerInvariant();
        if (_words == 0)
        {
            _first = word;
        }

        if (_words < 4)
        {
            _heads.Append(Routine.Contains(word) ? word[0] : ' ');
        }

        _words++;
        if (_parentheses == 0)
        {
            _copiesIn |= (_first, _previous, word) == ("copy", "from", "stdin");
            _blocks += ChangeOfBlocks(word);
        }

        PlainHasEscapes = _setsStrings && word is ("on" or "off") ? word == "off" : PlainHasEscapes;
        _setsStrings |= _first == "set" && word == StringsSetting;
        _previous = word;
        return word == "e";
    }

    /// <summary>A parenthesis opens (1) or closes (-1).</summary>
    public void Nest(int change) => _parentheses = Math.Max(0, _parentheses + change);

    /// <summary>A semicolon, which ends the statement unless it is in parentheses or a body.</summary>
    /// <returns>True when rows of COPY follow.</returns>
    public bool End()
    {
        if (_parentheses > 0 || _blocks > 0)
        {
            return false;
        }

        var copiesIn = _copiesIn;
        (_first, _previous, _words, _copiesIn, _setsStrings) = (string.Empty, string.Empty, 0, false, false);
        _heads.Clear();
        return copiesIn;
    }

    private int ChangeOfBlocks(string word) => $"{_heads}" is not ['c', 'f' or 'p', ..] and not ['c', 'o', 'r', 'f' or 'p', ..] ? 0 : word switch
    {
        "begin" => 1,
        "case" when _blocks > 0 => 1,
        "end" when _blocks > 0 => -1,
        _ => 0,
    };
}
