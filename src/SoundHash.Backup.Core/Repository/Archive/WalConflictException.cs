using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>The archive holds other bytes under the name of a file that was to be archived; nothing was touched.</summary>
public sealed class WalConflictException(WalFileName name, string store, string ours, string theirs) : BackupException(
    ErrorKind.Verification,
    $"WAL file {name} is archived in store {store} with other content (SHA-256 {theirs}, here {ours}); nothing was touched",
    "two servers archive to one place, or this one was taken back to an earlier state: give this cluster its own BACKUP_CLUSTER, "
    + "or make a new timeline (recover it with a target and promote it)");
