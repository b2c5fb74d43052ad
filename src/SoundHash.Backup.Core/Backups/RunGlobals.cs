using Serilog;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups;

/// <summary>
/// The globals of a run: taken once, and once more for a database that names a role or tablespace which was made since.
/// </summary>
internal sealed class RunGlobals(ProcessLauncher launcher, ILogger log)
{
    private GlobalsDump? _last;

    /// <summary>The globals for what was read in a snapshot, no older than what it names.</summary>
    public async Task<GlobalsDump> ForAsync(Contents described, Session session, PgTools tools, CancellationToken cancel)
    {
        if (_last is null || _last.Lacking(described).Any())
        {
            _last = await GlobalsDump.TakeAsync(session, tools, launcher, log, cancel);
        }

        return _last;
    }
}
