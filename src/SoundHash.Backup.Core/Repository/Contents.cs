using System.Text.Json;
using System.Text.Json.Serialization;

namespace SoundHash.Backup.Repository;

/// <summary>What pg_class.relkind says, as far as we tell it apart.</summary>
public enum RelationKind
{
    /// <summary>An ordinary table or a leaf partition: holds rows, is counted and compared.</summary>
    Table,

    /// <summary>A partitioned table: holds no rows of its own.</summary>
    Partitioned,

    /// <summary>A materialized view: refreshed by a restore, so its rows are recorded and not compared.</summary>
    MaterializedView,

    /// <summary>A foreign table: its rows are elsewhere.</summary>
    Foreign,
}

/// <summary>The encrypted description of a logical set: what is in it, and what a restore must find.</summary>
public sealed record Contents
{
    /// <summary>The database's own properties, which pg_dump without -C leaves out.</summary>
    public required DatabaseProperties Database { get; init; }

    /// <summary>Every relation with rows or partitions.</summary>
    public required IReadOnlyList<TableRecord> Tables { get; init; }

    /// <summary>
    /// Roles that the database, its objects, rights and settings name: a restore needs them, or --no-owner --no-privileges.
    /// </summary>
    public required IReadOnlyList<string> Roles { get; init; }

    /// <summary>
    /// Tablespaces, other than PostgreSQL's own, that hold something of the database besides the one it is in itself: a
    /// restore needs them, or has to leave tablespaces out. Null in older sets.
    /// </summary>
    public IReadOnlyList<string>? Tablespaces { get; init; }

    /// <summary>Extensions with their versions.</summary>
    public required IReadOnlyList<ExtensionRecord> Extensions { get; init; }

    /// <summary>False where the role could not read passwords: the globals then come without them.</summary>
    public required bool RolePasswords { get; init; }

    /// <summary>What pg_dump and pg_dumpall said though they succeeded, e.g. what they left out. Null in older sets.</summary>
    public IReadOnlyList<string>? Warnings { get; init; }

    /// <summary>Fields of a later minor format.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Unknown { get; set; }
}

/// <summary>A relation of the database.</summary>
public sealed record TableRecord
{
    /// <summary>Its schema.</summary>
    public required string Schema { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>What it is.</summary>
    public required RelationKind Kind { get; init; }

    /// <summary>True when it belongs to an extension: recorded, not compared.</summary>
    public bool OfExtension { get; init; }

    /// <summary>Rows in the snapshot; null where it has none of its own or they could not be counted.</summary>
    public long? Rows { get; init; }

    /// <summary>Order-independent hash of all rows, or null when it was not asked for (docs/formats.md).</summary>
    public string? Fingerprint { get; init; }

    /// <summary>The object that holds its rows, when it is a big table's own.</summary>
    public string? Object { get; init; }

    /// <summary>True when a restore must have exactly these rows.</summary>
    [JsonIgnore]
    public bool IsCompared => Kind == RelationKind.Table && !OfExtension && Rows is not null;
}

/// <summary>An extension.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">Its version.</param>
public sealed record ExtensionRecord(string Name, string Version);

/// <summary>Properties of a database that belong to the cluster's catalogues and not to the database's dump.</summary>
public sealed record DatabaseProperties
{
    /// <summary>Its name when it was backed up.</summary>
    public required string Name { get; init; }

    /// <summary>Its owner.</summary>
    public required string Owner { get; init; }

    /// <summary>Its encoding, e.g. UTF8.</summary>
    public required string Encoding { get; init; }

    /// <summary>lc_collate.</summary>
    public required string Collate { get; init; }

    /// <summary>lc_ctype.</summary>
    public required string CharacterType { get; init; }

    /// <summary>"libc", "icu" or "builtin".</summary>
    public required string LocaleProvider { get; init; }

    /// <summary>The locale of provider icu or builtin, or null.</summary>
    public string? Locale { get; init; }

    /// <summary>ICU's tailoring rules, or null.</summary>
    public string? IcuRules { get; init; }

    /// <summary>Version of the collation provider at the time.</summary>
    public string? CollationVersion { get; init; }

    /// <summary>-1 for no limit.</summary>
    public required int ConnectionLimit { get; init; }

    /// <summary>ALTER DATABASE … IS_TEMPLATE: it can be copied by others, and not be dropped. False in older sets.</summary>
    public bool IsTemplate { get; init; }

    /// <summary>Its comment, or null.</summary>
    public string? Comment { get; init; }

    /// <summary>Its tablespace.</summary>
    public required string Tablespace { get; init; }

    /// <summary>ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET.</summary>
    public required IReadOnlyList<DatabaseSetting> Settings { get; init; }

    /// <summary>Granted rights, or null where they are PostgreSQL's defaults.</summary>
    public IReadOnlyList<DatabaseGrant>? Grants { get; init; }

    /// <summary>True when it is a template under a name; a copy under another is there to be looked at and dropped.</summary>
    public bool IsTemplateAs(string name) => IsTemplate && name == Name;
}

/// <summary>A setting of the database, or of a role in it.</summary>
/// <param name="Role">The role, or null for all.</param>
/// <param name="Name">The parameter.</param>
/// <param name="Value">Its value as text.</param>
public sealed record DatabaseSetting(string? Role, string Name, string Value);

/// <summary>A right on the database.</summary>
/// <param name="Role">The role, or null for PUBLIC.</param>
/// <param name="Privilege">CREATE, CONNECT or TEMPORARY.</param>
/// <param name="Grantable">WITH GRANT OPTION.</param>
public sealed record DatabaseGrant(string? Role, string Privilege, bool Grantable);
