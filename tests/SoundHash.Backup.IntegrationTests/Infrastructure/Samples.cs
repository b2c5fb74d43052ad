using SoundHash.Backup.IntegrationTests.Infrastructure;

[assembly: AssemblyFixture(typeof(Samples))]

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// Sets that many tests begin with, each made once. A test gets a copy of the repository, to do with as it likes.
/// </summary>
public sealed class Samples : IAsyncLifetime
{
    /// <summary>Tables like SoundHash's, small.</summary>
    public const string SmallTables =
        """
        CREATE TABLE channels (id bigserial PRIMARY KEY, name text NOT NULL);
        CREATE TABLE videos (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            channel_id bigint NOT NULL REFERENCES channels,
            title text);
        CREATE INDEX videos_title ON videos (title);
        CREATE TABLE keyless (note text);
        INSERT INTO channels (name) SELECT 'channel ' || g FROM generate_series(1, 100) g;
        INSERT INTO videos (channel_id, title) SELECT 1 + g % 100, md5(g::text) FROM generate_series(1, 5000) g;
        INSERT INTO keyless VALUES ('only row');
        """;

    // A tenth of each page is filled: above the 64 MB from where a table gets its own stream, and quick to make.
    private const string BigTable =
        """
        CREATE TABLE audio_fingerprints (id bigint PRIMARY KEY, video_id bigint REFERENCES videos, hash text) WITH (fillfactor = 10);
        INSERT INTO audio_fingerprints SELECT g, 1 + g % 5000, md5(g::text) FROM generate_series(1, 110000) g;
        CREATE INDEX audio_hash ON audio_fingerprints (hash);
        CREATE INDEX audio_video ON audio_fingerprints (video_id);
        """;

    private readonly SemaphoreSlim _one = new(1);
    private readonly Dictionary<string, (Workspace Work, string Id)> _made = [];

    /// <summary>The database of the single-object sets.</summary>
    public const string SmallDatabase = "sample_small";

    /// <summary>The database of the split sets.</summary>
    public const string SplitDatabase = "sample_split";

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        foreach (var (work, _) in _made.Values)
        {
            work.Dispose();
        }

        _one.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>A set in one archive, with fingerprints.</summary>
    public Task<Sample> SmallAsync(PostgresCluster cluster, string encryption = "none") => CopyAsync(cluster, SmallDatabase, encryption);

    /// <summary>A set in several archives, the big table in its own.</summary>
    public Task<Sample> SplitAsync(PostgresCluster cluster, string encryption = "none") => CopyAsync(cluster, SplitDatabase, encryption);

    private async Task<Sample> CopyAsync(PostgresCluster cluster, string database, string encryption)
    {
        var (made, id) = await MakeAsync(cluster, database, encryption);
        var work = new Workspace(cluster, database);
        await Command.ShellAsync($"cp -a '{made.Repository}' '{work.Repository}'");
        if (encryption == "age")
        {
            File.Copy(made.IdentityFile, work.IdentityFile);
            work.Set("BACKUP_DECRYPTION_IDENTITY_FILE", work.IdentityFile);
        }
        else if (encryption == "gpg")
        {
            work.Environment["GNUPGHOME"] = made.Environment["GNUPGHOME"];
        }

        return new Sample(work, id);
    }

    private async Task<(Workspace Work, string Id)> MakeAsync(PostgresCluster cluster, string database, string encryption)
    {
        await _one.WaitAsync();
        try
        {
            var name = $"{database} {encryption}";
            if (_made.TryGetValue(name, out var known))
            {
                return known;
            }

            if (!await cluster.DatabaseExistsAsync(database))
            {
                await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {database}");
                await cluster.ExecuteAsync(database, SmallTables + (database == SplitDatabase ? BigTable : string.Empty));
            }

            var work = new Workspace(cluster, database);
            if (encryption == "age")
            {
                await work.UseAgeAsync();
            }
            else if (encryption == "gpg")
            {
                var key = await GpgHome.MakeAsync(Path.Combine(work.Folder, "gnupg"));
                work.Environment["GNUPGHOME"] = key.Home;
                work.Set(
                    "BACKUP_ENCRYPTION_ENABLED",
                    "true").Set("BACKUP_ENCRYPTION_METHOD", "gpg").Set("BACKUP_ENCRYPTION_KEY", key.Fingerprint);
            }

            var id = await work.BackupAsync("--fingerprint", "--jobs", "2");
            return _made[name] = (work, id);
        }
        finally
        {
            _one.Release();
        }
    }
}

/// <summary>A repository with one set.</summary>
public sealed record Sample(Workspace Work, string Id) : IDisposable
{
    public string Folder => Work.SetFolder(Id);

    public SetEditor Edit() => new(Folder);

    public void Dispose() => Work.Dispose();
}

/// <summary>A gpg keyring of its own.</summary>
public sealed record GpgHome(string Home, string Fingerprint)
{
    /// <summary>Makes a keyring with one key for encryption, without a passphrase unless one is given.</summary>
    public static async Task<GpgHome> MakeAsync(string home, string user = "Backup Test <backup@example.org>", string passphrase = "")
    {
        var environment = new Dictionary<string, string?> { ["GNUPGHOME"] = home };
        await Command.ShellAsync(
            $"""
            mkdir -p -m 700 '{home}'
            gpg --batch --quiet --pinentry-mode loopback --passphrase '{passphrase}' --quick-generate-key '{user}' default default never
            """,
            environment);
        var listing = await Command.ShellAsync($"gpg --batch --with-colons --list-keys '{user}'", environment);
        return new GpgHome(
            home,
            listing.Output.Split('\n').First(static l => l.StartsWith("fpr:", StringComparison.Ordinal)).Split(':')[9]);
    }
}
