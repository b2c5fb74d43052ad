using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Postgres;

/// <summary>Looks into archives that pg_dump wrote.</summary>
public static class PgArchive
{
    // Names have at most NAMEDATALEN bytes, 64 unless PostgreSQL was built otherwise; there are three in a line.
    private const int MaxLineBytes = 1024 * 1024;

    /// <summary>
    /// The table of contents as pg_restore --list prints it, line by line: one of a database with a million objects is
    /// larger than a part of memory that anybody would set aside for it. Reads the archive to its end, so that checks in it
    /// take place, though pg_restore stops after the table of contents.
    /// </summary>
    /// <param name="tools">The pg_restore to use.</param>
    /// <param name="launcher">Starts it.</param>
    /// <param name="archive">The archive.</param>
    /// <param name="line">Gets each line, decoded as UTF-8 whatever the encoding of the database; what is none becomes U+FFFD.</param>
    /// <param name="meter">Counts the archive's bytes.</param>
    /// <param name="cancel">Cancels.</param>
    public static async Task ListAsync(
        PgTools tools, ProcessLauncher launcher, Stream archive, Action<string> line, TransferMeter meter, CancellationToken cancel)
    {
        var command = new ChildCommand(tools.Path("pg_restore"), ["--list"])
        {
            Environment = EnglishMessages.Variables,
            MayCloseInputEarly = true,
        };
        await using var child = launcher.Start(command);
        var listing = ReadLinesAsync(child, line, cancel);
        await StreamCopy.ToChildAsync(archive, child, meter, cancel);
        await listing;
        await child.EnsureSuccessAsync(cancel);
    }

    private static async Task ReadLinesAsync(ChildProcess child, Action<string> line, CancellationToken cancel)
    {
        var buffer = new byte[MaxLineBytes];
        var length = 0;
        int read;
        while ((read = await child.ReadOutputAsync(buffer.AsMemory(length), cancel)) > 0)
        {
            length += read;
            var start = 0;
            for (int end; (end = buffer.AsSpan(start, length - start).IndexOf((byte)'\n')) >= 0; start += end + 1)
            {
                line(Encoding.UTF8.GetString(buffer, start, end));
            }

            length -= start;
            buffer.AsSpan(start, length).CopyTo(buffer);
            if (length == buffer.Length)
            {
                await child.EndAsync();
                throw new BackupException(ErrorKind.ChildFailed, $"{child.Name} wrote a line of more than {MaxLineBytes} bytes");
            }
        }

        line(Encoding.UTF8.GetString(buffer, 0, length));
    }
}
