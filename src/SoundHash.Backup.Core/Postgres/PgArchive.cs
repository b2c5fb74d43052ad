using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Postgres;

/// <summary>Looks into archives that pg_dump wrote.</summary>
public static class PgArchive
{
    /// <summary>
    /// The table of contents as pg_restore --list prints it. Reads the stream to its end, so that checks in it take
    /// place, though pg_restore stops after the table of contents.
    /// </summary>
    public static async Task<string> ListAsync(
        PgTools tools, ProcessLauncher launcher, Stream archive, TransferMeter meter, CancellationToken cancel)
    {
        var command = new ChildCommand(tools.Path("pg_restore"), ["--list"]) { MayCloseInputEarly = true };
        await using var child = launcher.Start(command);
        var listing = child.ReadTextAsync(cancel);
        await StreamCopy.ToChildAsync(archive, child, meter, cancel);
        var text = await listing;
        await child.EnsureSuccessAsync(cancel);
        return text;
    }
}
