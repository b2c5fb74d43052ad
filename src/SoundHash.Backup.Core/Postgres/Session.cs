using System.Data;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Postgres;

/// <summary>
/// One session of ours on a server, with the output settings fixed and every timeout off. Errors of the server become
/// BackupExceptions. Used by one caller at a time.
/// </summary>
public sealed class Session : IAsyncDisposable
{
    // The databases that initdb makes and that accept connections.
    private static readonly string[] Everywhere = ["postgres", "template1"];

    private readonly NpgsqlDataSource _source;
    private readonly NpgsqlConnection _connection;

    private Session(NpgsqlDataSource source, NpgsqlConnection connection, ConnectionSettings settings)
    {
        _source = source;
        _connection = connection;
        Settings = settings;
    }

    /// <summary>Where this session is connected to.</summary>
    public ConnectionSettings Settings { get; }

    /// <summary>The server's major version, e.g. 15.</summary>
    public int ServerMajor => _connection.PostgreSqlVersion.Major;

    /// <summary>The server's version as it tells it, e.g. "15.18".</summary>
    public string ServerVersion => _connection.PostgreSqlVersion.ToString();

    /// <summary>The backend's process id as the protocol told it; a pooler makes one up.</summary>
    public int AnnouncedProcessId => _connection.ProcessID;

    /// <summary>Connects to a database.</summary>
    /// <exception cref="BackupException">The server can't be reached or refuses us.</exception>
    public static async Task<Session> OpenAsync(ConnectionSettings settings, CancellationToken cancel)
    {
        var builder = new NpgsqlSlimDataSourceBuilder(settings.ConnectionString());
        builder.EnableTransportSecurity();
        builder.EnableArrays();
        builder.ConfigureTypeLoading(static types => types.EnableTypeLoading(false));
        var source = builder.Build();
        NpgsqlConnection? connection = null;
        try
        {
            connection = await source.OpenConnectionAsync(cancel);
            var session = new Session(source, connection, settings);
            await session.PrepareAsync(cancel);
            return session;
        }
        catch (Exception e)
        {
            await (connection?.DisposeAsync() ?? ValueTask.CompletedTask);
            await source.DisposeAsync();
            // Files of certificates and keys that are missing or none come as errors of their own.
            if (e is NpgsqlException or System.Net.Sockets.SocketException or TimeoutException
                or IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
            {
                throw ServerErrors.CannotConnect(settings, e);
            }

            throw;
        }
    }

    /// <summary>
    /// Connects to whatever database there is, for what is of the whole server: the one of the settings, else postgres or template1.
    /// That a database was dropped, or never made, must not end what has nothing to do with it.
    /// </summary>
    /// <exception cref="BackupException">The server can't be reached or refuses us.</exception>
    public static async Task<Session> OpenAnyAsync(ConnectionSettings settings, CancellationToken cancel)
    {
        foreach (var database in Everywhere.Prepend(settings.Database))
        {
            try
            {
                return await OpenAsync(settings with { Database = database }, cancel);
            }
            catch (BackupException e) when (
                database != Everywhere[^1] && e.InnerException is PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName })
            {
                // The next one.
            }
        }

        throw new UnreachableException();
    }

    /// <summary>Runs statements that return nothing.</summary>
    public async Task ExecuteAsync(string sql, CancellationToken cancel)
    {
        try
        {
            await using var command = new NpgsqlCommand(sql, _connection);
            await command.ExecuteNonQueryAsync(cancel);
        }
        catch (NpgsqlException e)
        {
            throw ServerErrors.Failed(Settings, e);
        }
        catch (InvalidOperationException e) when (_connection.State != ConnectionState.Open)
        {
            throw ServerErrors.Lost(Settings, e);
        }
        catch (DecoderFallbackException e)
        {
            throw ServerErrors.NotUtf8(Settings, e);
        }
    }

    /// <summary>Runs a query and maps each row.</summary>
    public async Task<IReadOnlyList<T>> QueryAsync<T>(
        string sql, Func<NpgsqlDataReader, T> map, CancellationToken cancel, params object?[] parameters)
    {
        try
        {
            await using var command = new NpgsqlCommand(sql, _connection);
            foreach (var parameter in parameters)
            {
                command.Parameters.Add(new NpgsqlParameter { Value = parameter ?? DBNull.Value });
            }

            await using var reader = await command.ExecuteReaderAsync(cancel);
            var rows = new List<T>();
            while (await reader.ReadAsync(cancel))
            {
                rows.Add(map(reader));
            }

            return rows;
        }
        catch (NpgsqlException e)
        {
            throw ServerErrors.Failed(Settings, e);
        }
        catch (InvalidOperationException e) when (_connection.State != ConnectionState.Open)
        {
            throw ServerErrors.Lost(Settings, e);
        }
        catch (DecoderFallbackException e)
        {
            throw ServerErrors.NotUtf8(Settings, e);
        }
    }

    /// <summary>Runs a query that returns one text, or null for no row or NULL.</summary>
    public async Task<string?> TextAsync(string sql, CancellationToken cancel, params object?[] parameters)
    {
        var rows = await QueryAsync(
            sql,
            static r => r.IsDBNull(0) ? null : Convert.ToString(r.GetValue(0), CultureInfo.InvariantCulture),
            cancel,
            parameters);
        return rows.Count == 0 ? null : rows[0];
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _source.DisposeAsync();
    }

    private Task PrepareAsync(CancellationToken cancel) => ExecuteAsync(
        $"""
        SET search_path = pg_catalog;
        SET datestyle = 'ISO, YMD';
        SET intervalstyle = 'postgres';
        SET timezone = 'UTC';
        SET extra_float_digits = 1;
        SET bytea_output = 'hex';
        SET xmlbinary = 'base64';
        SET lc_monetary = 'C';
        {Timeouts.OffAsSql}
        """,
        cancel);
}
