namespace SoundHash.Backup.Restores;

/// <summary>How a restore deals with a target that has objects.</summary>
public enum TargetMode
{
    /// <summary>It must not have any.</summary>
    Empty,

    /// <summary>It is dropped first, after the set was verified in depth.</summary>
    Clean,

    /// <summary>A new database is restored beside it, compared, and takes its name; the old one is kept under another.</summary>
    Swap,
}

/// <summary>What of a set is restored, and where to.</summary>
public sealed record RestoreOptions
{
    /// <summary>The name that the restored database is to have.</summary>
    public required string Target { get; init; }

    /// <summary>How to deal with a target that has objects.</summary>
    public TargetMode Mode { get; init; }

    /// <summary>Definitions without rows.</summary>
    public bool SchemaOnly { get; init; }

    /// <summary>Rows into tables that are there and empty.</summary>
    public bool DataOnly { get; init; }

    /// <summary>Only these tables, as schema.name or name; all when empty.</summary>
    public IReadOnlyList<string> Tables { get; init; } = [];

    /// <summary>Owners are not restored; everything belongs to the connecting role.</summary>
    public bool NoOwner { get; init; }

    /// <summary>Rights are not restored.</summary>
    public bool NoPrivileges { get; init; }

    /// <summary>Everything goes to the default tablespace.</summary>
    public bool NoTablespaces { get; init; }

    /// <summary>Roles and tablespaces that the server does not have are made first.</summary>
    public bool Globals { get; init; }

    /// <summary>pg_restore processes at once.</summary>
    public int Jobs { get; init; } = 1;

    /// <summary>True when what is restored goes into, or beside, tables that are there already.</summary>
    public bool IsPartial => DataOnly || Tables.Count > 0;

    /// <summary>The options that pg_restore gets for these wishes.</summary>
    public IEnumerable<string> PgRestoreArguments()
    {
        if (NoOwner)
        {
            yield return "--no-owner";
        }

        if (NoPrivileges)
        {
            yield return "--no-privileges";
        }

        if (NoTablespaces)
        {
            yield return "--no-tablespaces";
        }

        if (SchemaOnly)
        {
            yield return "--schema-only";
        }

        if (DataOnly)
        {
            yield return "--data-only";
        }
    }
}

/// <summary>A table whose rows are not what was recorded.</summary>
/// <param name="Table">Quoted schema and name.</param>
/// <param name="Problem">In words.</param>
public sealed record TableDifference(string Table, string Problem);

/// <summary>What a restore did.</summary>
/// <param name="SetId">The set, or the file.</param>
/// <param name="Database">The name of the database that now holds the data.</param>
/// <param name="IntoExisting">It was there before and other data may be in it: never to be dropped for a difference.</param>
/// <param name="KeptAs">The old database's new name after a swap, or null.</param>
/// <param name="TablesCompared">How many tables were compared with the set.</param>
/// <param name="Rows">Their rows.</param>
/// <param name="FingerprintsCompared">How many of them also by fingerprint.</param>
/// <param name="Differences">Tables that are not as recorded.</param>
/// <param name="Phases">Seconds of each phase, in order.</param>
public sealed record RestoreResult(
    string SetId,
    string Database,
    bool IntoExisting,
    string? KeptAs,
    int TablesCompared,
    long Rows,
    int FingerprintsCompared,
    IReadOnlyList<TableDifference> Differences,
    IReadOnlyList<RestorePhase> Phases);

/// <summary>A phase of a restore and its seconds.</summary>
/// <param name="Name">What was done.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record RestorePhase(string Name, double Seconds);
