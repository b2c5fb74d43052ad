using System.Globalization;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads how to reach the server from DATABASE_*, DATABASE_URL and libpq's PG* variables, in that order.</summary>
public static class DatabaseConfiguration
{
    private const string UrlName = "DATABASE_URL";

    private static readonly string[] SslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

    /// <summary>The connection; problems are left in the reader.</summary>
    public static ConnectionSettings Read(SettingsReader settings)
    {
        var url = Url(settings);
        if (settings.Given("PGSERVICE") is not null)
        {
            settings.Warn("PGSERVICE is not used: say host, port, database and user by DATABASE_* or PG* settings, or by DATABASE_URL");
        }

        return new ConnectionSettings(
            Host(settings, One(settings, "DATABASE_HOST", url, "host", "PGHOST")),
            Port(settings, One(settings, "DATABASE_PORT", url, "port", "PGPORT")),
            One(settings, "DATABASE_NAME", url, "dbname", "PGDATABASE").Value!,
            One(settings, "DATABASE_USER", url, "user", "PGUSER").Value ?? UserName(settings))
        {
            Password = One(settings, "DATABASE_PASSWORD", url, "password", "PGPASSWORD").Value,
            PasswordFile = File(settings, url?["passfile"], "PGPASSFILE"),
            SslMode = SslMode(settings, url),
            SslRootCertificate = File(settings, url?["sslrootcert"], "PGSSLROOTCERT"),
            SslCertificate = File(settings, url?["sslcert"], "PGSSLCERT"),
            SslKey = File(settings, url?["sslkey"], "PGSSLKEY"),
        };
    }

    /// <summary>True when the settings say of any server which one it is; otherwise the defaults stand in.</summary>
    public static bool IsGiven(SettingsReader settings) =>
        new[] { UrlName, "DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_USER", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER" }
            .Any(name => (settings.Given(name) ?? settings.Given($"{name}_FILE")) is not null);

    // A part that stands in two places and differs would let us back up another database than was meant.
    private static Part One(SettingsReader settings, string name, DatabaseUrl? url, string urlName, string libpqName)
    {
        var own = settings.Given(name) ?? (SettingNames.Find(name)!.Secret ? settings.Text(name) : null);
        var inUrl = url?[urlName];
        if (own is not null && inUrl is not null && own != inUrl && !settings.IsFlag(name))
        {
            settings.Problem(name, own, "contradicts DATABASE_URL; set one of them");
        }

        return own is not null ? new Part(own, name)
            : inUrl is not null ? new Part(inUrl, UrlName, urlName)
            : settings.Given(libpqName) is { } libpq ? new Part(libpq, libpqName)
            : new Part(SettingNames.Find(name)!.Default, name);
    }

    private static string? File(SettingsReader settings, string? inUrl, string libpqName) =>
        inUrl is null ? settings.PathOf(libpqName) : settings.Absolute(inUrl, settings.ComesFromFile(UrlName));

    // With several hosts our own sessions and PostgreSQL's programs could each choose another one.
    private static string Host(SettingsReader settings, Part host)
    {
        if (host.Value!.Contains(',', StringComparison.Ordinal))
        {
            host.Problem(settings, "must be one host");
        }

        return host.Value;
    }

    private static int Port(SettingsReader settings, Part text)
    {
        if (int.TryParse(text.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536)
        {
            return port;
        }

        text.Problem(settings, "must be a port from 1 to 65535");
        return 0;
    }

    private static string UserName(SettingsReader settings)
    {
        var name = Environment.UserName;
        if (name.Length == 0)
        {
            settings.Problem("DATABASE_USER", null, "must be set: the user that runs shbackup has no name");
        }

        return name;
    }

    private static string? SslMode(SettingsReader settings, DatabaseUrl? url)
    {
        var mode = url?["sslmode"] is { } inUrl ? new Part(inUrl, UrlName, "sslmode") : new Part(settings.Given("PGSSLMODE"), "PGSSLMODE");
        if (mode.Value is not null && !SslModes.Contains(mode.Value))
        {
            mode.Problem(settings, $"must be {string.Join(" or ", SslModes)}");
            return null;
        }

        return mode.Value;
    }

    private static DatabaseUrl? Url(SettingsReader settings)
    {
        if (settings.Text(UrlName) is not { } text)
        {
            return null;
        }

        if (DatabaseUrl.TryParse(text) is not { } url)
        {
            settings.Problem(UrlName, text, "must look like postgresql://user:password@host:port/database?sslmode=require");
            return null;
        }

        foreach (var name in url.Unsupported)
        {
            settings.Problem(UrlName, text, $"has the parameter '{name}', which shbackup can't pass on; remove it from this URL");
        }

        foreach (var name in url.Ignored)
        {
            settings.Warn($"DATABASE_URL's parameter '{name}' is ignored: shbackup has its own value for it");
        }

        return url;
    }

    // Where a value stands, so that a problem names the place to correct.
    private sealed record Part(string? Value, string Setting, string? Parameter = null)
    {
        public void Problem(SettingsReader settings, string what)
        {
            if (Parameter is null)
            {
                settings.Problem(Setting, Value, what);
            }
            else
            {
                settings.Problem(Setting, null, $"has the {Parameter} '{Value}', which {what}");
            }
        }
    }
}
