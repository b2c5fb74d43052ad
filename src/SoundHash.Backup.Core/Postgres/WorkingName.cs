using System.Security.Cryptography;
using System.Text;

namespace SoundHash.Backup.Postgres;

/// <summary>The name of a database that a restore is filling. Such a database is none yet, and is not backed up.</summary>
internal static class WorkingName
{
    private const string Prefix = "shbackup_restore_";

    /// <summary>The working name for a target: always the same, so that the next restore finds what this one left.</summary>
    public static string For(string target) => $"{Prefix}{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(target)))[..12]}";

    /// <summary>True for a name that only a restore gives.</summary>
    public static bool IsOne(string database) => database.StartsWith(Prefix, StringComparison.Ordinal);
}
