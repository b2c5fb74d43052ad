using System.Text;
using Npgsql;
using Serilog;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// Reads what belongs to the cluster: roles, tablespaces, properties of databases. PostgreSQL keeps such text as the
/// bytes of whoever wrote it and takes it for text in the encoding of whoever reads it, so that role "Jürgen" becomes
/// "JÃ¼rgen" when it is read through a LATIN1 database. It is therefore read through a UTF8 database, which changes
/// no byte; what is no UTF-8 then was written through the database at hand, and is taken for its encoding.
/// </summary>
public sealed class SharedCatalogs : IAsyncDisposable
{
    // A database whose sessions get the bytes as they are, the usual ones first.
    private const string CandidatesQuery =
        """
        SELECT datname::text FROM pg_database
        WHERE datallowconn AND pg_encoding_to_char(encoding) = 'UTF8' AND has_database_privilege(datname, 'CONNECT')
        ORDER BY datname <> 'postgres', datname <> 'template1', datname COLLATE "C"
        LIMIT 5
        """;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly Session _session;
    private readonly Session? _own;

    private SharedCatalogs(Session session, Session? own)
    {
        _session = session;
        _own = own;
    }

    /// <summary>The connection through which names of the cluster are seen as they are.</summary>
    public ConnectionSettings Settings => (_own ?? _session).Settings;

    /// <summary>Opens a session beside the given one where that one's database is not in UTF-8.</summary>
    /// <param name="session">A session in the database at hand; used, and not disposed.</param>
    /// <param name="log">Says so when no UTF8 database can be used.</param>
    /// <param name="cancel">Cancels.</param>
    public static async Task<SharedCatalogs> OpenAsync(Session session, ILogger log, CancellationToken cancel)
    {
        // Between SQL_ASCII and a client nothing is converted either.
        if (await session.TextAsync("SHOW server_encoding", cancel) is "UTF8" or "SQL_ASCII")
        {
            return new SharedCatalogs(session, null);
        }

        foreach (var database in await session.QueryAsync(CandidatesQuery, static r => r.GetString(0), cancel))
        {
            try
            {
                return new SharedCatalogs(session, await Session.OpenAsync(session.Settings with { Database = database }, cancel));
            }
            catch (BackupException e) when (!cancel.IsCancellationRequested)
            {
                log.Debug("names of roles can't be read through database \"{Database}\": {Message}", database, e.Message);
            }
        }

        return new SharedCatalogs(session, null);
    }

    /// <summary>
    /// Runs a query that makes each of its texts <c>textsend(…)</c>, which <see cref="TextAsync"/> then decodes.
    /// </summary>
    public Task<IReadOnlyList<T>> QueryAsync<T>(
        string sql, Func<NpgsqlDataReader, T> map, CancellationToken cancel, params object?[] parameters) =>
        (_own ?? _session).QueryAsync(sql, map, cancel, parameters);

    /// <summary>The text that bytes of a shared catalogue mean.</summary>
    public async Task<string> TextAsync(byte[] bytes, CancellationToken cancel)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return await FromDatabaseEncodingAsync(bytes, cancel);
        }
    }

    /// <summary>Disposes the session that it opened.</summary>
    public ValueTask DisposeAsync() => _own?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task<string> FromDatabaseEncodingAsync(byte[] bytes, CancellationToken cancel)
    {
        try
        {
            var text = await _session.TextAsync("SELECT convert_from($1, getdatabaseencoding())", cancel, bytes);
            return text ?? string.Empty;
        }
        catch (Exception e) when (e is BackupException or DecoderFallbackException && !cancel.IsCancellationRequested)
        {
            return Encoding.UTF8.GetString(bytes);
        }
    }
}
