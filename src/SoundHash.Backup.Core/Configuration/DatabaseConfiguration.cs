using System.Globalization;
using System.Text.RegularExpressions;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Configuration;

/// <summary>Reads how to reach the server from DATABASE_*, DATABASE_URL and libpq's PG* variables, in that order.</summary>
public static partial class DatabaseConfiguration
{
    private static readonly string[] SslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

    /// <summary>The connection; problems are left in the reader.</summary>
    public static ConnectionSettings Read(SettingsReader settings)
    {
        var url = Url(settings);
        return new ConnectionSettings(
            Host(settings, One(settings, "DATABASE_HOST", url?.Host, "PGHOST") ?? "localhost"),
            Port(settings, One(settings, "DATABASE_PORT", url?.Port, "PGPORT") ?? "5432"),
            One(settings, "DATABASE_NAME", url?.Database, "PGDATABASE") ?? "soundhash",
            One(settings, "DATABASE_USER", url?.User, "PGUSER") ?? UserName(settings))
        {
            Password = One(settings, "DATABASE_PASSWORD", url?.Password, "PGPASSWORD"),
            PasswordFile = settings.Given("PGPASSFILE"),
            SslMode = SslMode(settings, url?.SslMode),
            SslRootCertificate = settings.Given("PGSSLROOTCERT"),
            SslCertificate = settings.Given("PGSSLCERT"),
            SslKey = settings.Given("PGSSLKEY"),
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

        return own ?? inUrl ?? settings.Given(libpqName);
    }

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
        return 5432;
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

    private static UrlParts? Url(SettingsReader settings)
    {
        if (settings.Text("DATABASE_URL") is not { } text)
        {
            return null;
        }

        if (UrlParts.TryParse(text) is { } parts)
        {
            return parts;
        }

        settings.Problem("DATABASE_URL", text, "must look like postgresql://user:password@host:port/database?sslmode=require");
        return null;
    }

    private sealed partial record UrlParts(string? Host, string? Port, string? Database, string? User, string? Password, string? SslMode)
    {
        // libpq's form (PostgreSQL documentation 34.1.1.2) and not that of System.Uri, which has no empty host, no
        // socket directory as host and no ".." in a name. SQLAlchemy's "+driver" in the scheme is dropped.
        public static UrlParts? TryParse(string text)
        {
            if (Form().Match(text) is not { Success: true } match)
            {
                return null;
            }

            var query = Query(match.Groups["query"].Value);
            string? Part(string name) => query.GetValueOrDefault(name) ?? Some(Uri.UnescapeDataString(match.Groups[name].Value));
            return new UrlParts(Part("host"), Part("port"), Part("dbname"), Part("user"), Part("password"), query.GetValueOrDefault("sslmode"));
        }

        private static Dictionary<string, string> Query(string text) =>
            text.Split('&', StringSplitOptions.RemoveEmptyEntries)
                .Select(static p => p.Split('=', 2))
                .Where(static p => p.Length == 2)
                .GroupBy(static p => p[0])
                .ToDictionary(static g => g.Key, static g => Uri.UnescapeDataString(g.Last()[1]));

        private static string? Some(string text) => text.Length == 0 ? null : text;

        [GeneratedRegex(
            @"^postgres(ql)?(\+\w+)?://((?<user>[^:@/]*)(:(?<password>[^@/]*))?@)?(\[(?<host>[^]]+)\]|(?<host>[^][@:/?,]*))(:(?<port>\d*))?(/(?<dbname>[^?]*))?(\?(?<query>.*))?$",
            RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
            1000)]
        private static partial Regex Form();
    }
}
