namespace SoundHash.Backup.Errors;

/// <summary>What kind of thing went wrong. Each kind has one exit code, see <see cref="ExitCodes"/>.</summary>
public enum ErrorKind
{
    /// <summary>Failed for a reason without a kind of its own.</summary>
    Failed,

    /// <summary>The command line was wrong.</summary>
    Usage,

    /// <summary>A setting is missing, wrong or contradicts another one.</summary>
    Configuration,

    /// <summary>A needed program is missing, too old or too new.</summary>
    ToolMissing,

    /// <summary>A child program, or the database server, failed.</summary>
    ChildFailed,

    /// <summary>A store could not be read or written.</summary>
    Storage,

    /// <summary>Encryption or decryption failed.</summary>
    Encryption,

    /// <summary>Something is not what it was recorded to be: hashes, row counts, damaged pages.</summary>
    Verification,

    /// <summary>Another run holds the lock.</summary>
    Locked,

    /// <summary>The required copies are there, an optional one is missing.</summary>
    Partial,

    /// <summary>A person or the system asked us to stop.</summary>
    Cancelled,
}
