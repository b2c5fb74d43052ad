using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>Descriptions of databases for tests.</summary>
internal static class TestContents
{
    public static DatabaseProperties Properties(params DatabaseSetting[] settings) => new()
    {
        Name = "soundhash",
        Owner = "alice",
        Encoding = "UTF8",
        Collate = "C.UTF-8",
        CharacterType = "C.UTF-8",
        LocaleProvider = "libc",
        ConnectionLimit = -1,
        Tablespace = "pg_default",
        Settings = settings,
    };

    public static TableRecord Table(string name, RelationKind kind = RelationKind.Table, long? rows = null, string schema = "public") =>
        new() { Schema = schema, Name = name, Kind = kind, Rows = rows };
}
