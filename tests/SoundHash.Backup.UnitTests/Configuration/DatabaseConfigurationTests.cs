using SoundHash.Backup.Configuration;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Configuration;

/// <summary>How to reach the server, from all the ways in which people write that down.</summary>
public sealed class DatabaseConfigurationTests
{
    [Fact]
    public void Without_settings_it_is_the_default_database_of_this_machine_as_ourselves()
    {
        var connection = Read();

        Assert.Equal(new ConnectionSettings("localhost", 5432, "soundhash", Environment.UserName), connection);
    }

    [Theory]
    [InlineData("postgresql://alice:pw@db:5433/music", "db", 5433, "music", "alice", "pw", null)]
    [InlineData("postgres://alice@db/music", "db", 5432, "music", "alice", null, null)]
    [InlineData("postgresql+psycopg2://alice:pw@db:5433/music", "db", 5433, "music", "alice", "pw", null)]
    [InlineData("postgresql+asyncpg://alice:pw@db/music", "db", 5432, "music", "alice", "pw", null)]
    [InlineData("postgresql://alice:p%40ss%3Aw%2Frd%25%23@db/mu%20sic", "db", 5432, "mu sic", "alice", "p@ss:w/rd%#", null)]
    [InlineData("postgresql://al%40home:p:w@db/music", "db", 5432, "music", "al@home", "p:w", null)]
    [InlineData("postgresql://alice:a+b%2B@db/music", "db", 5432, "music", "alice", "a+b+", null)]
    [InlineData("postgresql://alice:pa#s?s@db/music", "db", 5432, "music", "alice", "pa#s?s", null)]
    [InlineData("postgresql://alice@db/music?sslmode=verify-full", "db", 5432, "music", "alice", null, "verify-full")]
    [InlineData("postgresql://alice@db/music?connect_timeout=3&sslmode=require", "db", 5432, "music", "alice", null, "require")]
    [InlineData("postgresql://alice@/music?host=/var/run/postgresql", "/var/run/postgresql", 5432, "music", "alice", null, null)]
    [InlineData("postgresql:///music?host=/tmp&port=5433&user=alice&password=p%26w", "/tmp", 5433, "music", "alice", "p&w", null)]
    [InlineData("postgresql://alice@%2Fvar%2Frun%2Fpostgresql/music", "/var/run/postgresql", 5432, "music", "alice", null, null)]
    [InlineData("postgresql://alice@%2Ftmp:5433/music", "/tmp", 5433, "music", "alice", null, null)]
    [InlineData("postgresql://alice@[::1]:5433/music", "::1", 5433, "music", "alice", null, null)]
    [InlineData("postgresql://alice@[2001:db8::1]/music", "2001:db8::1", 5432, "music", "alice", null, null)]
    [InlineData("postgresql://alice@192.0.2.1/music", "192.0.2.1", 5432, "music", "alice", null, null)]
    [InlineData("postgresql://alice@db.example.org/Music", "db.example.org", 5432, "Music", "alice", null, null)]
    [InlineData("postgresql://alice@db/m%C3%BCsik", "db", 5432, "müsik", "alice", null, null)]
    [InlineData("postgresql://alice@db/..%2Fx", "db", 5432, "../x", "alice", null, null)]
    [InlineData("postgresql://alice@db/a.b/../c", "db", 5432, "a.b/../c", "alice", null, null)]
    public void A_url_is_read_as_libpq_reads_it(
        string text, string host, int port, string database, string user, string? password, string? sslMode)
    {
        var settings = Settings.OfEnvironment(("DATABASE_URL", text));
        var connection = DatabaseConfiguration.Read(settings);

        settings.ThrowIfInvalid();
        Assert.Equal(new ConnectionSettings(host, port, database, user) { Password = password, SslMode = sslMode }, connection);
    }

    [Fact]
    public void The_certificates_and_the_password_file_of_a_url_are_used()
    {
        var connection = Read(
            ("DATABASE_URL", "postgresql://u@db/music?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/me.pem&sslkey=/me.key&passfile=/p"),
            ("PGSSLROOTCERT", "/other.pem"));

        Assert.Equal(
            new ConnectionSettings("db", 5432, "music", "u")
            {
                SslMode = "verify-full",
                SslRootCertificate = "/ca.pem",
                SslCertificate = "/me.pem",
                SslKey = "/me.key",
                PasswordFile = "/p",
            },
            connection);
    }

    [Fact]
    public void A_file_named_in_a_url_is_relative_to_the_env_file()
    {
        using var folder = new TempFolder();
        var env = folder.Write("etc/.env", "DATABASE_URL=postgresql://u@db/music?sslrootcert=ca.pem\nPGSSLKEY=me.key\n");

        var connection = DatabaseConfiguration.Read(Settings.OfFile(env));

        Assert.Equal((folder["etc/ca.pem"], folder["etc/me.key"]), (connection.SslRootCertificate, connection.SslKey));
    }

    [Theory]
    [InlineData("options=-c%20search_path%3Dmine", "options")]
    [InlineData("target_session_attrs=read-write", "target_session_attrs")]
    [InlineData("hostaddr=192.0.2.1", "hostaddr")]
    [InlineData("sslmode=require&gssencmode=require", "gssencmode")]
    [InlineData("service=other", "service")]
    [InlineData("schema=public", "schema")]
    [InlineData("sslmode=require&require", "require")]
    public void A_parameter_of_a_url_that_would_change_the_connection_is_refused_and_not_dropped(string query, string name)
    {
        var settings = Settings.OfEnvironment(("DATABASE_URL", $"postgresql://alice:s3cret@db/music?{query}"));

        DatabaseConfiguration.Read(settings);

        var message = settings.Refused().Message;
        Assert.StartsWith($"DATABASE_URL=(hidden) has the parameter '{name}'", message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_parameter_of_a_url_that_changes_nothing_is_told_and_ignored()
    {
        var told = new List<string>();
        var environment = new Dictionary<string, string>
        {
            ["DATABASE_URL"] = "postgresql://alice:s3cret@db/music?application_name=web&connect_timeout=3",
        };
        var settings = new SettingsReader([], environment, null, told.Add);

        DatabaseConfiguration.Read(settings);

        settings.ThrowIfInvalid();
        Assert.Equal(2, told.Count);
        Assert.Contains("'application_name'", told[0], StringComparison.Ordinal);
        Assert.Contains("'connect_timeout'", told[1], StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", string.Join(' ', told), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("mysql://alice@db/music")]
    [InlineData("alice@db/music")]
    [InlineData("db")]
    [InlineData("postgresql://alice:pw@db:port/music")]
    [InlineData("postgresql://alice@one,two/music")]
    [InlineData("postgresql://alice:p@ss@db/music")]
    [InlineData("postgresql://alice:pa/ss@db/music")]
    [InlineData("postgresql:/alice@db/music")]
    public void Anything_else_is_an_error_with_an_example(string text)
    {
        var settings = Settings.OfEnvironment(("DATABASE_URL", text));

        DatabaseConfiguration.Read(settings);

        Assert.Equal(
            "DATABASE_URL=(hidden) must look like postgresql://user:password@host:port/database?sslmode=require",
            settings.Refused().Message);
    }

    [Fact]
    public void Parts_that_a_url_leaves_out_come_from_the_other_settings()
    {
        var connection = Read(
            ("DATABASE_URL", "postgresql://db"),
            ("DATABASE_NAME", "music"),
            ("DATABASE_USER", "alice"),
            ("PGPASSWORD", "pw"),
            ("PGPORT", "5433"));

        Assert.Equal(new ConnectionSettings("db", 5433, "music", "alice") { Password = "pw" }, connection);
    }

    [Theory]
    [InlineData("DATABASE_HOST", "other")]
    [InlineData("DATABASE_PORT", "5433")]
    [InlineData("DATABASE_NAME", "other")]
    [InlineData("DATABASE_USER", "other")]
    public void A_part_that_stands_in_two_places_and_differs_is_an_error(string name, string value)
    {
        var settings = Settings.OfEnvironment(("DATABASE_URL", "postgresql://alice:pw@db:5432/music"), (name, value));

        DatabaseConfiguration.Read(settings);

        Assert.Equal($"{name}='{value}' contradicts DATABASE_URL; set one of them", settings.Refused().Message);
    }

    [Fact]
    public void A_part_that_stands_in_two_places_and_is_the_same_is_none()
    {
        var settings = Settings.OfEnvironment(
            ("DATABASE_URL", "postgresql://alice:pw@db:5432/music"), ("DATABASE_HOST", "db"), ("DATABASE_PORT", "5432"));

        DatabaseConfiguration.Read(settings);

        settings.ThrowIfInvalid();
    }

    [Fact]
    public void A_flag_may_override_a_url()
    {
        var settings = Settings.Of([("DATABASE_NAME", "other")], [("DATABASE_URL", "postgresql://alice@db/music")], null);

        Assert.Equal("other", DatabaseConfiguration.Read(settings).Database);
        settings.ThrowIfInvalid();
    }

    [Fact]
    public void The_variables_of_libpq_come_last()
    {
        (string, string)[] libpq =
        [
            ("PGHOST", "pghost"), ("PGPORT", "5433"), ("PGDATABASE", "pgdb"), ("PGUSER", "pguser"),
            ("PGPASSWORD", "pgpw"), ("PGPASSFILE", "/pass"),
            ("PGSSLMODE", "require"), ("PGSSLROOTCERT", "/root"), ("PGSSLCERT", "/cert"), ("PGSSLKEY", "/key"),
        ];

        var connection = Read(libpq);
        Assert.Equal(
            new ConnectionSettings("pghost", 5433, "pgdb", "pguser")
            {
                Password = "pgpw",
                PasswordFile = "/pass",
                SslMode = "require",
                SslRootCertificate = "/root",
                SslCertificate = "/cert",
                SslKey = "/key",
            },
            connection);

        Assert.Equal("mine", Read([.. libpq, ("DATABASE_HOST", "mine")]).Host);
        Assert.Equal("url", Read([.. libpq, ("DATABASE_URL", "postgresql://url")]).Host);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("65536")]
    [InlineData("5432x")]
    [InlineData("-1")]
    public void A_port_is_a_number_that_ports_have(string port)
    {
        var settings = Settings.OfEnvironment(("DATABASE_PORT", port));

        DatabaseConfiguration.Read(settings);

        Assert.Equal($"DATABASE_PORT='{port}' must be a port from 1 to 65535", settings.Refused().Message);
    }

    [Fact]
    public void An_sslmode_is_one_that_libpq_knows()
    {
        var settings = Settings.OfEnvironment(("PGSSLMODE", "on"));

        DatabaseConfiguration.Read(settings);

        Assert.StartsWith("PGSSLMODE='on' must be disable or allow or ", settings.Refused().Message, StringComparison.Ordinal);
    }

    private static ConnectionSettings Read(params (string, string)[] variables)
    {
        var settings = Settings.OfEnvironment(variables);
        var connection = DatabaseConfiguration.Read(settings);
        settings.ThrowIfInvalid();
        return connection;
    }

    [Theory]
    [InlineData("PGPORT", "x", "PGPORT='x' must be a port from 1 to 65535")]
    [InlineData("PGHOST", "a,b", "PGHOST='a,b' must be one host")]
    [InlineData("DATABASE_URL", "postgresql://db:99999/music", "DATABASE_URL has the port '99999', which must be a port from 1 to 65535")]
    [InlineData("DATABASE_URL", "postgresql://db/music?host=a,b", "DATABASE_URL has the host 'a,b', which must be one host")]
    [InlineData("DATABASE_URL", "postgresql://db/music?sslmode=on", "DATABASE_URL has the sslmode 'on', which must be disable or allow or ")]
    public void A_problem_names_the_place_where_the_value_stands(string name, string value, string problem)
    {
        var settings = Settings.OfEnvironment((name, value));

        DatabaseConfiguration.Read(settings);

        Assert.StartsWith(problem, settings.Refused().Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PGSERVICE_which_is_not_used_is_told_once()
    {
        var told = new List<string>();
        var settings = new SettingsReader([], new Dictionary<string, string> { ["PGSERVICE"] = "music" }, null, told.Add);

        DatabaseConfiguration.Read(settings);

        Assert.StartsWith("PGSERVICE is not used", Assert.Single(told), StringComparison.Ordinal);
    }
}
