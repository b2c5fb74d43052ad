namespace SoundHash.Backup.Repository.Archive;

/// <summary>What became of a file that was to be archived.</summary>
public enum WalPutResult
{
    /// <summary>It is archived.</summary>
    Stored,

    /// <summary>It was archived before, with the same content.</summary>
    AlreadyThere,
}
