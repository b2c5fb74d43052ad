using Npgsql;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>Turns errors of the server and the connection into ours, with a hint where the next step is known.</summary>
internal static class ServerErrors
{
    private const string RenameThose =
        "its encoding is SQL_ASCII, it seems (psql -l): rename what is not in UTF-8, or keep that database with pg_dump yourself";

    public static BackupException CannotConnect(ConnectionSettings settings, Exception e)
    {
        var hint = (e as PostgresException)?.SqlState switch
        {
            PostgresErrorCodes.InvalidCatalogName => "correct --database or DATABASE_NAME; psql -l lists the databases",
            PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification =>
                "correct DATABASE_USER and DATABASE_PASSWORD (or PGPASSFILE), and pg_hba.conf of the server",
            PostgresErrorCodes.TooManyConnections => "raise max_connections, or end other sessions",
            PostgresErrorCodes.CannotConnectNow => "the server is starting or in recovery; try again when it accepts connections",
            _ when e.Message.Contains("password has been provided", StringComparison.OrdinalIgnoreCase) =>
                "set DATABASE_PASSWORD, or give the server, database and role a line in ~/.pgpass (PGPASSFILE names another file, which must have mode 0600)",
            _ when HasNoSocket(settings, e) => "correct DATABASE_PORT, or DATABASE_HOST (the directory of the socket); pg_lsclusters, or ss -lx, shows where servers are",
            _ => "check DATABASE_HOST and DATABASE_PORT, and that the server runs: pg_isready -h HOST -p PORT",
        };
        return new BackupException(
            ErrorKind.ChildFailed,
            $"can't connect to database \"{settings.Database}\" on {settings.Server} as \"{settings.User}\": {(HasNoSocket(settings, e) ? $"there is no socket {settings.Server}" : Message(e))}",
            hint,
            e);
    }

    // Of a socket that is not there, .NET tells something about addresses.
    private static bool HasNoSocket(ConnectionSettings settings, Exception e) =>
        settings.Host.StartsWith('/') && e is not PostgresException && !File.Exists(settings.Server) && Directory.Exists(settings.Host);

    /// <summary>A session that was lost before, of which Npgsql says so in its own way.</summary>
    public static BackupException Lost(ConnectionSettings settings, Exception e) => new(
        ErrorKind.ChildFailed,
        $"the session on database \"{settings.Database}\" on {settings.Server} was lost",
        "see the server's log for why it ended the session",
        e);

    /// <summary>A name or text that the server sent is no UTF-8, which is all that a database in SQL_ASCII knows of it.</summary>
    public static BackupException NotUtf8(ConnectionSettings settings, Exception e) => new(
        ErrorKind.ChildFailed,
        $"database \"{settings.Database}\" on {settings.Server} has names that are not in UTF-8, so that they can't be told ({e.Message})",
        RenameThose,
        e);

    public static BackupException Failed(ConnectionSettings settings, NpgsqlException e)
    {
        var hint = e.SqlState switch
        {
            PostgresErrorCodes.InsufficientPrivilege when Message(e).Contains("row-level security", StringComparison.Ordinal) =>
                "give the role BYPASSRLS, or back up as a superuser",
            PostgresErrorCodes.InsufficientPrivilege when MakesDatabases(Message(e)) =>
                $"ALTER ROLE {SqlText.Identifier(settings.User)} CREATEDB, as a superuser; or connect as one",
            PostgresErrorCodes.InsufficientPrivilege =>
                "GRANT the role what is missing (for backups pg_read_all_data, from PostgreSQL 14 on), or connect as a superuser",
            PostgresErrorCodes.LockNotAvailable => "another session holds a conflicting lock (a schema change?); run again when it is done",
            PostgresErrorCodes.CharacterNotInRepertoire => RenameThose,
            PostgresErrorCodes.OutOfMemory => "raise max_locks_per_transaction on the server",
            _ => null,
        };
        return new BackupException(ErrorKind.ChildFailed, $"database \"{settings.Database}\" on {settings.Server}: {Message(e)}", hint, e);
    }

    // src/backend/commands/dbcommands.c, of CREATE DATABASE and ALTER DATABASE … RENAME.
    private static bool MakesDatabases(string message) =>
        message.Contains("permission denied to create database", StringComparison.Ordinal)
        || message.Contains("permission denied to rename database", StringComparison.Ordinal);

    /// <summary>
    /// True for an error of the statement itself, after which the session and the server go on: not for a lost connection, resources,
    /// an operator's intervention or an internal error (PostgreSQL's Appendix A, classes 08, 53, 57, 58, XX).
    /// </summary>
    public static bool IsOfStatement(this BackupException e) =>
        e.InnerException is PostgresException { SqlState: { Length: 5 } state } && state[..2] is not ("08" or "53" or "57" or "58" or "XX");

    /// <summary>True when the session is gone with the error: its connection broke, or the server ended it.</summary>
    public static bool IsLoss(BackupException e) => e.InnerException switch
    {
        PostgresException p => p.SqlState.StartsWith("57P", StringComparison.Ordinal),
        NpgsqlException or InvalidOperationException => true,
        _ => false,
    };

    private static string Message(Exception e) => e switch
    {
        NpgsqlException { InnerException: System.Net.Sockets.SocketException { SocketErrorCode: System.Net.Sockets.SocketError.AddressNotAvailable } } =>
            $"{e.Message}: nothing listens there",
        PostgresException p => p.Detail is null ? p.MessageText : $"{p.MessageText} ({p.Detail})",
        NpgsqlException { InnerException: { } inner } => $"{e.Message}: {inner.Message}",
        _ => e.Message,
    };
}
