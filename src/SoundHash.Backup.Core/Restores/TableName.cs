using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>A table that a restore fills.</summary>
/// <param name="Schema">Its schema.</param>
/// <param name="Name">Its name.</param>
internal readonly record struct TableName(string Schema, string Name)
{
    /// <summary>As SQL.</summary>
    public string Sql => SqlText.Identifier(Schema, Name);

    /// <summary>
    /// Arguments with which pg_restore takes this table alone out of an archive. It compares the two literally: they are names,
    /// never patterns.
    /// </summary>
    public string[] Selection => [$"--schema={Schema}", $"--table={Name}"];

    /// <summary>The tables of a set that a restore fills with known rows.</summary>
    public static IReadOnlyList<TableName> Of(IEnumerable<TableRecord> tables) =>
        tables.Where(static t => t.IsCompared).Select(static t => new TableName(t.Schema, t.Name)).ToList();
}
