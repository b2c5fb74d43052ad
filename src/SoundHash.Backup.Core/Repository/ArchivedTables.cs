using System.Buffers;

namespace SoundHash.Backup.Repository;

/// <summary>
/// Looks for the tables of a set in what pg_restore --list prints of its archives. A line with rows is
/// "ID; OID OID TABLE DATA schema name owner", CR and LF in names printed as spaces; names may hold spaces, so that one
/// line can be read as several tables. Each line stands for one table and no more, the one with the longest name: so
/// the rows of "a b" are never taken for those of a missing "a".
/// </summary>
internal sealed class ArchivedTables
{
    private const string Mark = " TABLE DATA ";

    private static readonly SearchValues<char> Numbers = SearchValues.Create("0123456789; ");

    private readonly IReadOnlyList<TableRecord> _expected;
    private readonly Dictionary<string, int> _unseen;
    private readonly List<List<string>> _ambiguous = [];
    private readonly Lock _lock = new();

    public ArchivedTables(Contents contents)
    {
        // The listing is in the encoding of the database: where that is not UTF-8, names with other letters can't be looked for.
        _expected = contents.Tables.Where(static t => t.IsCompared)
            .Where(t => contents.Database.Encoding == "UTF8" || (t.Schema + t.Name).All(char.IsAscii)).ToList();
        _unseen = contents.Tables.Where(static t => t.Kind == RelationKind.Table).CountBy(Key).ToDictionary();
    }

    /// <summary>Takes a line of a listing; from several listings at once.</summary>
    public void See(string line)
    {
        var at = line.IndexOf(Mark, StringComparison.Ordinal);
        if (at < 0 || line.AsSpan(0, at).ContainsAnyExcept(Numbers))
        {
            return;
        }

        lock (_lock)
        {
            var tables = TablesOf(line.AsSpan(at + Mark.Length));
            if (tables.Count == 1)
            {
                _unseen[tables[0]]--;
            }
            else if (tables.Count > 1)
            {
                _ambiguous.Add(tables);
            }
        }
    }

    /// <summary>Tables that no line was left for, once all listings were seen.</summary>
    public IReadOnlyList<TableRecord> Missing()
    {
        foreach (var tables in _ambiguous)
        {
            if (tables.Find(t => _unseen[t] > 0) is { } table)
            {
                _unseen[table]--;
            }
        }

        _ambiguous.Clear();
        return _expected.Where(t => _unseen[Key(t)] > 0).ToList();
    }

    private List<string> TablesOf(ReadOnlySpan<char> names)
    {
        var found = new List<string>();
        var known = _unseen.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var end = names.LastIndexOf(' '); end > 0; end = names[..end].LastIndexOf(' '))
        {
            if (known.TryGetValue(names[..end], out var key, out _))
            {
                found.Add(key);
            }
        }

        return found;
    }

    private static string Key(TableRecord table) => $"{OneLine(table.Schema)} {OneLine(table.Name)}";

    private static string OneLine(string name) => name.Replace('\r', ' ').Replace('\n', ' ');
}
