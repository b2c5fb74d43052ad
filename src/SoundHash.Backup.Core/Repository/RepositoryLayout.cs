namespace SoundHash.Backup.Repository;

/// <summary>Where everything is in a store (docs/formats.md).</summary>
public static class RepositoryLayout
{
    /// <summary>The repository's own description.</summary>
    public const string RepositoryFile = "repository.json";

    /// <summary>The folder of all sets.</summary>
    public const string Sets = "sets";

    /// <summary>The commit point of a set.</summary>
    public const string ManifestFile = "manifest.json";

    /// <summary>Hashes of the stored objects in coreutils format.</summary>
    public const string SumsFile = "SHA256SUMS";

    /// <summary>Says who writes the set.</summary>
    public const string IntentFile = "intent.json";

    /// <summary>Pins the set.</summary>
    public const string KeepFile = "keep.json";

    /// <summary>The folder of a set, without a slash at its end.</summary>
    public static string SetFolder(string id) => $"{Sets}/{id}";

    /// <summary>The key of an object of a set.</summary>
    public static string InSet(string id, string name) => $"{Sets}/{id}/{name}";

    /// <summary>True for names that a manifest's object may not have.</summary>
    public static bool IsReserved(string name) => name is ManifestFile or SumsFile or IntentFile or KeepFile;
}
