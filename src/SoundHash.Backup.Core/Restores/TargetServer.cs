using System.Globalization;
using System.Text;
using Npgsql;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>
/// The server that a restore works on, seen from a session beside the target, and what of it decides a restore.
/// </summary>
internal sealed class TargetServer : IAsyncDisposable
{
    private const int MaxName = 63;
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(5);

    private readonly Session _maintenance;
    private BackupException? _lost;

    private TargetServer(Session maintenance, string target, ILogger log)
    {
        _maintenance = maintenance;
        Target = target;
        Working = new WorkingDatabase(this, maintenance, log);
    }

    /// <summary>The name that the restored database is to have.</summary>
    public string Target { get; }

    /// <summary>The database that is filled before it gets the target's name.</summary>
    public WorkingDatabase Working { get; }

    public int ServerMajor => _maintenance.ServerMajor;

    /// <summary>Connects beside the target and makes sure that no other restore works on it, from wherever it runs.</summary>
    public static async Task<TargetServer> OpenAsync(ConnectionSettings server, string target, ILogger log, CancellationToken cancel)
    {
        if (Encoding.UTF8.GetByteCount(target) > MaxName)
        {
            throw new BackupException(ErrorKind.Usage, $"'{target}' is longer than the {MaxName} bytes that a database name may have");
        }

        var session = await ConnectBesideAsync(server, target, cancel);
        try
        {
            await PoolerCheck.EnsureDirectAsync(session, cancel);
            var free = await session.TextAsync(
                "SELECT pg_try_advisory_lock(hashtextextended('shbackup restore ' || $1::text, 0))::text",
                cancel,
                target);
            if (free != "true")
            {
                throw new BackupException(
                    ErrorKind.Locked,
                    $"another restore into database \"{target}\" is running on {server.Server}",
                    "wait for it, or end it");
            }

            return new TargetServer(session, target, log);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    public async Task<bool> ExistsAsync(string database, CancellationToken cancel) =>
        await _maintenance.TextAsync("SELECT 'yes' FROM pg_database WHERE datname = $1", cancel, database) is not null;

    /// <summary>True when new databases are made from the target.</summary>
    public async Task<bool> IsTargetTemplateAsync(CancellationToken cancel) => Target is "template0" or "template1"
        || await _maintenance.TextAsync("SELECT 'yes' FROM pg_database WHERE datname = $1 AND datistemplate", cancel, Target) is not null;

    /// <summary>True when the target database has anything that a restore could collide with.</summary>
    public async Task<bool> TargetHasObjectsAsync(CancellationToken cancel)
    {
        await using var session = await Session.OpenAsync(_maintenance.Settings with { Database = Target }, cancel);
        return await UserObjects.ExistAsync(session, cancel);
    }

    /// <summary>Roles of a list that the server does not have.</summary>
    public async Task<IReadOnlyList<string>> MissingRolesAsync(IEnumerable<string> roles, CancellationToken cancel)
    {
        var known = await _maintenance.QueryAsync("SELECT rolname::text FROM pg_roles", static r => r.GetString(0), cancel);
        return roles.Except(known).ToList();
    }

    /// <summary>Roles and tablespaces of the server.</summary>
    public async Task<(IReadOnlySet<string> Roles, IReadOnlySet<string> Tablespaces)> GlobalsAsync(CancellationToken cancel)
    {
        var roles = await _maintenance.QueryAsync("SELECT rolname::text FROM pg_roles", static r => r.GetString(0), cancel);
        var spaces = await _maintenance.QueryAsync("SELECT spcname::text FROM pg_tablespace", static r => r.GetString(0), cancel);
        return (roles.ToHashSet(), spaces.ToHashSet());
    }

    /// <summary>Tablespaces of a list that the server does not have.</summary>
    public async Task<IReadOnlyList<string>> MissingTablespacesAsync(IEnumerable<string> tablespaces, CancellationToken cancel) =>
        tablespaces.Except((await GlobalsAsync(cancel)).Tablespaces).ToList();

    /// <summary>Encoding and locale of the target, as in <see cref="DatabaseProperties"/>.</summary>
    public async Task<(string Encoding, string Collate, string CharacterType)> TargetLocaleAsync(CancellationToken cancel)
    {
        var rows = await _maintenance.QueryAsync(
            "SELECT pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text FROM pg_database WHERE datname = $1",
            static r => (r.GetString(0), r.GetString(1), r.GetString(2)),
            cancel,
            Target);
        return rows[0];
    }

    /// <summary>Extensions of a list that are not installed on the server's machine.</summary>
    public async Task<IReadOnlyList<string>> MissingExtensionsAsync(IEnumerable<string> extensions, CancellationToken cancel)
    {
        var known = await _maintenance.QueryAsync("SELECT name::text FROM pg_available_extensions", static r => r.GetString(0), cancel);
        return extensions.Except(known).ToList();
    }

    /// <summary>Where this session is connected to: a database beside the target.</summary>
    public ConnectionSettings MaintenanceSettings => _maintenance.Settings;

    /// <summary>Free bytes where the server keeps its data, or null where that can't be seen from here.</summary>
    public Task<long?> FreeBytesAsync(CancellationToken cancel) => TargetSpace.FreeBytesAsync(_maintenance, cancel);

    /// <summary>Where to connect for a database of this server.</summary>
    public ConnectionSettings SettingsOf(string database) => _maintenance.Settings with { Database = database };

    /// <summary>How to connect to a database whose event triggers are not to fire for what a restore does, where our role may say so.</summary>
    public Task<ConnectionSettings> SilenceAsync(ConnectionSettings database, bool loading, CancellationToken cancel) =>
        EventTriggers.SilenceAsync(_maintenance, database, loading, cancel);

    /// <summary>
    /// Runs work while our session lives, which keeps other restores away from the target: they would take its database for
    /// one that was left behind. Looks every few seconds.
    /// </summary>
    /// <exception cref="BackupException">The session was lost, and the work was stopped; or the work's own failure.</exception>
    public async Task<T> WhileHeldAsync<T>(Func<CancellationToken, Task<T>> work, TimeProvider time, CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var done = new CancellationTokenSource();
        var watching = WatchAsync(stop.CancelAsync, time, done.Token);
        try
        {
            return await work(stop.Token);
        }
        catch (Exception e) when (
            e is BackupException or OperationCanceledException && _lost is not null && !cancel.IsCancellationRequested)
        {
            throw _lost;
        }
        finally
        {
            await done.CancelAsync();
            await watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Drops a database and ends its connections; no error when it is not there.</summary>
    /// <remarks>Never cancelled half-way: that could leave a database that is neither there nor gone.</remarks>
    public Task DropAsync(string database) =>
        _maintenance.ExecuteAsync($"DROP DATABASE IF EXISTS {SqlText.Identifier(database)} WITH (FORCE)", CancellationToken.None);

    /// <summary>The target's name with a word and a time, within PostgreSQL's length.</summary>
    public string Derived(string word, DateTimeOffset now)
    {
        var tail = $"_{word}_{now.UtcDateTime.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture)}";
        var head = Target;
        while (Encoding.UTF8.GetByteCount(head) + tail.Length > MaxName)
        {
            head = head[..^1];
        }

        return head + tail;
    }

    public ValueTask DisposeAsync() => _maintenance.DisposeAsync();

    private async Task WatchAsync(Func<Task> stop, TimeProvider time, CancellationToken done)
    {
        using var timer = new PeriodicTimer(WatchInterval, time);
        while (_lost is null && await timer.WaitForNextTickAsync(done))
        {
            try
            {
                _ = await _maintenance.TextAsync("SELECT 1", CancellationToken.None);
            }
            catch (BackupException e)
            {
                _lost = new BackupException(
                    ErrorKind.ChildFailed,
                    $"the session that keeps other restores away from \"{Target}\" was lost, so that this one was stopped: {e.Message}",
                    "see the server's log for why it ended the session, then run the restore again",
                    e);
                await stop();
            }
        }
    }

    // Databases are made and renamed from beside them: "postgres" unless that is the target or missing.
    private static async Task<Session> ConnectBesideAsync(ConnectionSettings server, string target, CancellationToken cancel)
    {
        var first = target == "postgres" ? "template1" : "postgres";
        try
        {
            return await Session.OpenAsync(server with { Database = first }, cancel);
        }
        catch (BackupException e) when (
            first == "postgres" && e.InnerException is PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName })
        {
            return await Session.OpenAsync(server with { Database = "template1" }, cancel);
        }
    }
}
