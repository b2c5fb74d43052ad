using Npgsql;

namespace SoundHash.Backup.Postgres;

/// <summary>How to reach a server: for our own sessions and, as PG* variables, for PostgreSQL's programs.</summary>
/// <param name="Host">Host name, address, or the directory of a unix socket.</param>
/// <param name="Port">1 to 65535.</param>
/// <param name="Database">The database.</param>
/// <param name="User">The role.</param>
public sealed record ConnectionSettings(string Host, int Port, string Database, string User)
{
    /// <summary>The password, or null: then PGPASSFILE, ~/.pgpass, peer or trust.</summary>
    public string? Password { get; init; }

    /// <summary>libpq's sslmode, or null for libpq's default.</summary>
    public string? SslMode { get; init; }

    /// <summary>libpq's sslrootcert, sslcert and sslkey files.</summary>
    public string? SslRootCertificate { get; init; }

    /// <summary>The client certificate file.</summary>
    public string? SslCertificate { get; init; }

    /// <summary>The client key file.</summary>
    public string? SslKey { get; init; }

    /// <summary>A password file, or null for ~/.pgpass.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>libpq's options: settings of the server from the first moment of a session on; beside those of PGOPTIONS.</summary>
    public string? Options { get; init; }

    /// <summary>Host and port as in messages.</summary>
    public string Server => Host.StartsWith('/') ? $"{Host}/.s.PGSQL.{Port}" : $"{Host}:{Port}";

    /// <summary>
    /// The whole environment that libpq of a child program looks at: variables of ours that are not set here are
    /// removed, so that both ways lead to the same server. The program speaks English.
    /// </summary>
    public IReadOnlyDictionary<string, string?> Environment => new Dictionary<string, string?>(EnglishMessages.Variables)
    {
        ["PGHOST"] = Host,
        ["PGHOSTADDR"] = null,
        ["PGPORT"] = Port.ToString(System.Globalization.CultureInfo.InvariantCulture),
        ["PGDATABASE"] = Database,
        ["PGUSER"] = User,
        ["PGPASSWORD"] = Password,
        ["PGPASSFILE"] = PasswordFile,
        ["PGSSLMODE"] = SslMode,
        ["PGSSLROOTCERT"] = SslRootCertificate,
        ["PGSSLCERT"] = SslCertificate,
        ["PGSSLKEY"] = SslKey,
        ["PGSERVICE"] = null,
        ["PGCLIENTENCODING"] = null,
        ["PGOPTIONS"] = AllOptions,
        ["PGAPPNAME"] = "shbackup",
        ["PGCONNECT_TIMEOUT"] = "30",
    };

    private string? AllOptions => (System.Environment.GetEnvironmentVariable("PGOPTIONS"), Options) switch
    {
        ({ Length: > 0 } inherited, { } own) => $"{inherited} {own}",
        (var inherited, var own) => own ?? inherited,
    };

    /// <summary>The connection string of our own sessions.</summary>
    public string ConnectionString()
    {
        var builder = new NpgsqlConnectionStringBuilder
        {
            Host = Host,
            Port = Port,
            Database = Database,
            Username = User,
            Password = Password,
            Passfile = PasswordFile,
            Options = AllOptions,
            ApplicationName = "shbackup",
            // Whatever PGCLIENTENCODING says, which Npgsql reads by itself.
            ClientEncoding = "UTF8",
            Encoding = "UTF8",
            Pooling = false,
            Timeout = 30,
            CommandTimeout = 0,
            IncludeErrorDetail = true,
        };
        if (!Host.StartsWith('/'))
        {
            builder.TcpKeepAlive = true;
            builder.TcpKeepAliveTime = 60;
        }

        if (SslMode is not null)
        {
            builder.SslMode = Enum.Parse<SslMode>(SslMode.Replace("-", string.Empty, StringComparison.Ordinal), ignoreCase: true);
        }

        builder.RootCertificate = SslRootCertificate;
        builder.SslCertificate = SslCertificate;
        builder.SslKey = SslKey;
        return builder.ConnectionString;
    }

    /// <summary>
    /// A libpq connection string that names the database alone, for programs whose --dbname would take a name with '='
    /// in it for a connection string.
    /// </summary>
    public string DatabaseOnly() =>
        $"dbname='{Database.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
