using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Restores;

/// <summary>A set as a restore reads it.</summary>
internal sealed class SetSource(
    IObjectStore store,
    Manifest manifest,
    Contents contents,
    Func<EncryptionMethod, IEncryptionProvider> providers)
{
    public Manifest Manifest => manifest;

    public Contents Contents => contents;

    /// <summary>True when the set was dumped in several streams.</summary>
    public bool IsSplit => manifest.Objects.Any(static o => o.Role == ObjectRole.PreData);

    /// <summary>Tablespaces that the set puts something into.</summary>
    public IEnumerable<string> Tablespaces => [contents.Database.Tablespace, .. contents.Tablespaces ?? []];

    public Task<Stream> OpenAsync(ObjectRecord item, CancellationToken cancel) =>
        SealedObject.OpenPlainAsync(store, manifest.Id, item, PlainCheck.Whole, providers, cancel);

    /// <summary>The archives in the order in which one process must load them.</summary>
    public IReadOnlyList<ObjectRecord> ArchivesInOrder() => IsSplit
        ? [manifest.Single(ObjectRole.PreData), .. Data(), manifest.Single(ObjectRole.PostData)]
        : [manifest.Single(ObjectRole.Dump)];

    /// <summary>The archives with rows, the largest first.</summary>
    public IReadOnlyList<ObjectRecord> Data() =>
        manifest.Objects.Where(static o => o.Role == ObjectRole.Data).OrderByDescending(static o => o.PlainBytes).ToList();

    /// <summary>The archives that hold a table's definition and its rows.</summary>
    public (ObjectRecord Definition, ObjectRecord Rows) ArchivesOf(TableRecord table)
    {
        if (!IsSplit)
        {
            var dump = manifest.Single(ObjectRole.Dump);
            return (dump, dump);
        }

        var owned = contents.Tables.Select(static t => t.Object).OfType<string>().ToHashSet();
        var rows = manifest.Objects.FirstOrDefault(
            o => o.Role == ObjectRole.Data && (table.Object is null ? !owned.Contains(o.Key) : o.Key == table.Object))
            ?? throw new BackupException(
                ErrorKind.Verification,
                $"set {manifest.Id} has no object with the rows of {SqlText.Identifier(table.Schema, table.Name)}");
        return (manifest.Single(ObjectRole.PreData), rows);
    }

    /// <summary>The tables that a person named, as schema.name or as a name that only one table has.</summary>
    /// <exception cref="BackupException">A name fits none or several.</exception>
    public IReadOnlyList<TableRecord> Choose(IReadOnlyList<string> names) => names.Select(name =>
    {
        var fitting = contents.Tables.Where(t => $"{t.Schema}.{t.Name}" == name || t.Name == name).ToList();
        return fitting switch
        {
            [{ IsCompared: true } one] => one,
            [var other] => throw new BackupException(
                ErrorKind.Usage,
                $"'{name}' is no ordinary table with rows of its own ({other.Kind.Word()})",
                "name the partitions of a partitioned table one by one"),
            [] => throw new BackupException(
                ErrorKind.Usage, $"set {manifest.Id} has no table '{name}'", "names are compared exactly, as schema.name or name, and without the quotes of SQL: --table 'public.Order Items'"),
            _ => throw new BackupException(
                ErrorKind.Usage,
                $"'{name}' is in several schemas: {string.Join(", ", fitting.Select(static t => t.Schema))}",
                "give it as schema.name"),
        };
    }).DistinctBy(static t => (t.Schema, t.Name)).ToList();
}
