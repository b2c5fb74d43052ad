using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>The connection string of a standby, before it is written: a server takes any text for one, and its standby streams nothing.</summary>
internal static class PrimaryConnection
{
    // pg_isready(1): no attempt was made, e.g. since the parameters are wrong.
    private const int NoAttempt = 3;

    /// <summary>Makes sure that libpq can read it, and warns when nobody answers there now.</summary>
    /// <exception cref="BackupException">It is no connection string.</exception>
    public static async Task EnsureReadableAsync(string text, string? pgIsReady, ProcessLauncher launcher, ILogger log, CancellationToken cancel)
    {
        // Without either, libpq takes it for the name of a database.
        if (!text.Contains('=', StringComparison.Ordinal) && !text.StartsWith("postgresql://", StringComparison.Ordinal)
            && !text.StartsWith("postgres://", StringComparison.Ordinal))
        {
            throw Wrong(text, "it has no parameter", null);
        }

        // The service file is the server user's.
        if (pgIsReady is null || text.Contains("service=", StringComparison.Ordinal))
        {
            return;
        }

        try
        {
            var command = new ChildCommand(pgIsReady, ["--timeout=5", $"--dbname={text}"]) { Environment = EnglishMessages.Variables };
            await launcher.ReadOutputAsync(command, cancel);
        }
        catch (ChildProcessException e) when (e.ExitCode == NoAttempt)
        {
            throw Wrong(text, e.Message, e);
        }
        catch (ChildProcessException)
        {
            log.Warning("the primary of --standby does not accept connections now ({Primary:l})", text);
        }
    }

    private static BackupException Wrong(string text, string why, Exception? inner) => new(
        ErrorKind.Usage,
        $"--standby '{text}' is no connection string of libpq: {why}",
        "give the primary as --standby 'host=HOST port=PORT user=ROLE'",
        inner);
}
