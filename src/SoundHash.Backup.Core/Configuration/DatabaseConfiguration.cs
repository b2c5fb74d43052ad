using System.Globalization;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads how to reach the server from DATABASE_*, DATABASE_URL and libpq's PG* variables, in that order.</summary>
public static class DatabaseConfiguration
{
    private static readonly string[] SslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

    /// <summary>The connection; problems are left in the reader.</summary>
    public static ConnectionSettings Read(SettingsReader settings)
    {
        var url = Url(settings);
        return new ConnectionSettings(
            Host(settings, One(settings, "DATABASE_HOST", url?["host"], "PGHOST")!),
            Port(settings, One(settings, "DATABASE_PORT", url?["port"], "PGPORT")!),
            One(settings, "DATABASE_NAME", url?["dbname"], "PGDATABASE")!,
            One(settings, "DATABASE_USER", url?["user"], "PGUSER") ?? UserName(settings))
        {
            Password = One(settings, "DATABASE_PASSWORD", url?["password"], "PGPASSWORD"),
            PasswordFile = File(settings, url?["passfile"], "PGPASSFILE"),
            SslMode = SslMode(settings, url?["sslmode"]),
            SslRootCertificate = File(settings, url?["sslrootcert"], "PGSSLROOTCERT"),
            SslCertificate = File(settings, url?["sslcert"], "PGSSLCERT"),
            SslKey = File(settings, url?["sslkey"], "PGSSLKEY"),
        };
    }

    // A part that stands in two places and differs would let us back up another database than was meant.
    private static string? One(SettingsReader settings, string name, string? inUrl, string libpqName)
    {
        var own = settings.Given(name) ?? (SettingNames.Find(name)!.Secret ? settings.Text(name) : null);
        if (own is not null && inUrl is not null && own != inUrl && !settings.IsFlag(name))
        {
            settings.Problem(name, own, "contradicts DATABASE_URL; set one of them");
        }

        return own ?? inUrl ?? settings.Given(libpqName) ?? SettingNames.Find(name)!.Default;
    }

    private static string? File(SettingsReader settings, string? inUrl, string libpqName) =>
        inUrl is null ? settings.PathOf(libpqName) : settings.Absolute(inUrl, settings.ComesFromFile("DATABASE_URL"));

    // With several hosts our own sessions and PostgreSQL's programs could each choose another one.
    private static string Host(SettingsReader settings, string host)
    {
        if (host.Contains(',', StringComparison.Ordinal))
        {
            settings.Problem("DATABASE_HOST", host, "must be one host");
        }

        return host;
    }

    private static int Port(SettingsReader settings, string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536)
        {
            return port;
        }

        settings.Problem("DATABASE_PORT", text, "must be a port from 1 to 65535");
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

    private static string? SslMode(SettingsReader settings, string? inUrl)
    {
        var mode = inUrl ?? settings.Given("PGSSLMODE");
        if (mode is not null && !SslModes.Contains(mode))
        {
            settings.Problem("PGSSLMODE", mode, $"must be {string.Join(" or ", SslModes)}");
            return null;
        }

        return mode;
    }

    private static DatabaseUrl? Url(SettingsReader settings)
    {
        if (settings.Text("DATABASE_URL") is not { } text)
        {
            return null;
        }

        if (DatabaseUrl.TryParse(text) is not { } url)
        {
            settings.Problem("DATABASE_URL", text, "must look like postgresql://user:password@host:port/database?sslmode=require");
            return null;
        }

        foreach (var name in url.Unsupported)
        {
            settings.Problem("DATABASE_URL", text, $"has the parameter '{name}', which shbackup can't pass on; remove it from this URL");
        }

        foreach (var name in url.Ignored)
        {
            settings.Warn($"DATABASE_URL's parameter '{name}' is ignored: shbackup has its own value for it");
        }

        return url;
    }
}
