namespace SoundHash.Backup.Storage;

/// <summary>The rule for object keys, applied before a key ever becomes a path.</summary>
public static class ObjectKey
{
    /// <summary>True for a key that every store accepts and that can't leave its root.</summary>
    public static bool IsValid(string key)
    {
        return key.Length is > 0 and <= 900 && key.Split('/').All(IsValidSegment);
    }

    /// <summary>True for one part of a key: letters, digits, '.', '_', '-', and neither "." nor "..".</summary>
    public static bool IsValidSegment(string segment)
    {
        return segment.Length is > 0 and <= 200
            && segment is not ("." or "..")
            && segment.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');
    }

    /// <summary>Returns the key, or throws when it is not valid.</summary>
    /// <exception cref="StorageException">The key is not valid.</exception>
    public static string Check(string key) =>
        IsValid(key) ? key : throw new StorageException($"'{key}' is not a valid object key");
}
