using System.Globalization;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli;

/// <summary>The WAL of one cluster, with what needs it and what writes it.</summary>
/// <param name="Wal">The archive.</param>
/// <param name="Sets">The cluster's base backups, newest first.</param>
/// <param name="Server">The server when it is this cluster's, or null.</param>
/// <param name="Timelines">What should be there, and what is not.</param>
/// <param name="MissingHistories">Timelines whose history is not there.</param>
/// <param name="Windows">Where recovery can go from which set, received pieces included.</param>
/// <param name="Received">The pieces behind the last segment of the newest timeline, or the server's: where they end, and when they were stored.</param>
internal sealed record WalCluster(
    LoadedWal Wal,
    IReadOnlyList<Manifest> Sets,
    ServerWal? Server,
    IReadOnlyList<WalTimelineWalk> Timelines,
    IReadOnlyList<WalMissingHistory> MissingHistories,
    IReadOnlyList<(Manifest Set, WalReach Reach)> Windows,
    (Lsn End, DateTimeOffset Stored)? Received)
{
    public ulong SystemIdentifier => Wal.Archive.SystemIdentifier;

    /// <summary>What is not in the archive, each once though it is missing for several timelines.</summary>
    public IReadOnlyList<(WalFinding Finding, WalLine Line)> Findings { get; } = Timelines
        .SelectMany(static t => t.Findings.Select(f => (Finding: f, t.Chain.Line)))
        .DistinctBy(static f => (f.Finding.Gap.First, f.Finding.Gap.Last)).ToList();

    /// <summary>The timeline that counts: the server's, or the newest with segments.</summary>
    public static uint TimelineOf(WalIndex index, ServerWal? server) =>
        server?.Timeline ?? index.Timelines.LastOrDefault(t => index.Of(t).Count > 0);

    /// <summary>The last segment of a timeline's line. Just after a promotion nothing of the new timeline is there: then its parent's.</summary>
    public static WalIndexed? LastOf(WalIndex index, uint timeline) => index.LineTo(timeline).RangesFrom(0)
        .Select(r => index.Within(r).LastOrDefault()).LastOrDefault(static w => w.Entry is not null) is { Entry: not null } last ? last : null;

    /// <summary>What is lost, as errors.</summary>
    public IEnumerable<BackupException> Problems => Findings.Select(f => WalText.Problem(SystemIdentifier, f.Finding))
        .Concat(MissingHistories.Select(h => WalText.Problem(SystemIdentifier, h))).OfType<BackupException>();
}

/// <summary>What the verbs that look after the WAL archive work with.</summary>
internal sealed class WalSite
{
    private readonly CliSession _cli;
    private readonly Catalogue _catalogue;
    private readonly ServerWal? _server;

    private WalSite(CliSession cli, WalSiteSettings settings, Catalogue catalogue, ServerWal? server, BackupException? serverProblem)
    {
        _cli = cli;
        Settings = settings;
        _catalogue = catalogue;
        _server = server;
        ServerProblem = serverProblem;
        Store = RepositoryAccess.ReadWal(cli, settings.Wal);
    }

    /// <summary>Each store of the archive by itself.</summary>
    public IEnumerable<WalSite> Each() => RepositoryAccess.OpenWal(_cli, Settings.Wal).Select(s => new WalSite(_cli, Settings, _catalogue, _server, ServerProblem) { Store = s });

    public WalSiteSettings Settings { get; }

    /// <summary>The store of the archive; where there are several, all of them as one that is only read.</summary>
    public IObjectStore Store { get; private init; }

    /// <summary>The server, of whatever cluster; null when it could not be asked.</summary>
    public ServerWal? Server => _server;

    /// <summary>Why the server could not be asked, or null.</summary>
    public BackupException? ServerProblem { get; }

    /// <summary>Sets whose manifest can't be used: what they need is not known.</summary>
    public IReadOnlyList<BackupException> BrokenSets =>
        _catalogue.Sets.Select(static s => s.Problem).OfType<BackupException>().Concat(Unseen).ToList();

    /// <summary>Stores of sets that can't be read, and copies that are of another set.</summary>
    private IReadOnlyList<BackupException> Unseen { get; init; } = [];

    public static async Task<WalSite> OpenAsync(CliSession cli, WalSiteSettings settings, bool askServer, CancellationToken cancel)
    {
        var copies = await RepositoryAccess.LoadForRestoreAsync(cli, settings.Repository, cancel);
        var (server, problem) = askServer ? await AskServerAsync(cli, cancel) : (null, null);
        return new WalSite(cli, settings, copies.Catalogue, server, problem) { Unseen = copies.Problems };
    }

    /// <summary>The clusters that the archive, the sets or the server know.</summary>
    public async Task<IReadOnlyList<WalCluster>> ClustersAsync(CancellationToken cancel)
    {
        var ofSets = _catalogue.Sets.Where(static s => s.Manifest is { Physical: not null })
            .Select(static s => ulong.TryParse(s.Manifest!.SystemIdentifier, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0)
            .Where(static id => id > 0);
        var systems = (await WalArchive.SystemsAsync(Store, cancel)).Concat(ofSets).Distinct().Order().ToList();
        var clusters = new List<WalCluster>();
        foreach (var system in systems)
        {
            clusters.Add(await LoadAsync(system, cancel));
        }

        return clusters;
    }

    /// <summary>Reads a cluster's archive.</summary>
    public async Task<WalCluster> LoadAsync(ulong system, CancellationToken cancel)
    {
        var (sets, segmentBytes) = LoadedWal.SetsOf(_catalogue, system);
        var server = _server?.SystemIdentifier == system ? _server : null;
        var wal = await LoadedWal.LoadAsync(Store, system, segmentBytes ?? server?.SegmentBytes, Settings.Providers, cancel);
        var manifests = sets.Select(static s => s.Manifest!).Where(m => m.Physical!.WalSegmentBytes == wal.Index.SegmentBytes).ToList();
        var walk = new WalWalk(wal, manifests, server, _cli.Time.GetUtcNow());
        var pieces = new WalPieces(Store, system);
        var windows = new List<(Manifest, WalReach)>();
        // A set that a restore refuses reaches nothing.
        var good = sets.Where(static s => s.IsComplete && s.Manifest!.Physical!.DamagedPages.Count == 0).Select(static s => s.Manifest).ToHashSet();
        foreach (var (set, reach) in manifests.Where(good.Contains).SelectMany(m => WalReach.Of(wal.Index, m).Select(r => (m, r))))
        {
            var more = await pieces.BeyondAsync(wal.Index, reach.Timeline, reach.To, cancel);
            windows.Add((set, more is { } beyond ? reach with { To = beyond.End, ToTime = beyond.Stored } : reach));
        }

        var timeline = WalCluster.TimelineOf(wal.Index, server);
        var received = WalCluster.LastOf(wal.Index, timeline) is { } last
            ? await pieces.BeyondAsync(wal.Index, timeline, last.Segment.End, cancel)
            : null;
        return new WalCluster(wal, manifests, server, walk.Timelines(), walk.MissingHistories(), windows, received);
    }

    /// <summary>
    /// What can't be recovered at all, as errors: the server's cluster, or where it can't be asked, all there are. Others may be
    /// what is left of clusters that are no more.
    /// </summary>
    public IEnumerable<BackupException> Unrecoverable(IReadOnlyList<WalCluster> clusters)
    {
        if (_server is { } server)
        {
            return clusters.Any(c => c.SystemIdentifier == server.SystemIdentifier && c.Windows.Count > 0) ? [] : [Unrecoverable(server.SystemIdentifier)];
        }

        return clusters.Any(static c => c.Windows.Count > 0) ? [] : clusters.Select(static c => Unrecoverable(c.SystemIdentifier));
    }

    private static BackupException Unrecoverable(ulong system) => new(
        ErrorKind.Verification,
        $"cluster {system} can be recovered to no moment: there is no good physical backup that this WAL makes consistent",
        "shbackup backup --kind physical");

    /// <summary>Where there is no WAL at all: a mistyped directory must not pass for an empty archive.</summary>
    public string Nothing() =>
        $"there is no WAL in {string.Join(" and ", Settings.Wal.Stores.Select(static s => s.Place + (s is LocalStoreSettings local && !Directory.Exists(local.Directory) ? ", which does not exist" : string.Empty)))} (BACKUP_WAL_DIR, BACKUP_CLUSTER)";

    // That the server, or the settings of its connection, can't be had must not keep us from looking at the archive.
    private static async Task<(ServerWal? Server, BackupException? Problem)> AskServerAsync(
        CliSession cli, CancellationToken cancel)
    {
        try
        {
            var settings = cli.Settings();
            var server = DatabaseConfiguration.Read(settings);
            settings.ThrowIfInvalid();
            await using var session = await ConnectAsync(server, cancel);
            return (await ServerWal.ReadAsync(session, cli.Log, cancel), null);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            return (null, e);
        }
    }

    // Any database of the server will do, and the one of the settings may be the one that was lost.
    private static async Task<Session> ConnectAsync(ConnectionSettings server, CancellationToken cancel)
    {
        try
        {
            return await Session.OpenAnyAsync(server, cancel);
        }
        catch (BackupException) when (server.Database != "postgres" && !cancel.IsCancellationRequested)
        {
            return await Session.OpenAnyAsync(server with { Database = "postgres" }, cancel);
        }
    }
}

/// <summary>The settings of these verbs.</summary>
/// <param name="Repository">Where the sets are.</param>
/// <param name="Wal">Where the WAL is.</param>
/// <param name="Providers">Makes the provider of an encryption method.</param>
/// <param name="HasAgeKey">An age identity is given.</param>
internal sealed record WalSiteSettings(
    RepositoryConfiguration Repository, WalConfiguration Wal, Func<EncryptionMethod, IEncryptionProvider> Providers, bool HasAgeKey)
{
    /// <summary>Reads them; problems are left in the reader.</summary>
    /// <param name="cli">The session.</param>
    /// <param name="settings">The settings.</param>
    /// <param name="writes">The verb changes the archive.</param>
    /// <param name="from">Only this store; null for all.</param>
    public static WalSiteSettings Read(CliSession cli, SettingsReader settings, bool writes, string? from = null)
    {
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        return new WalSiteSettings(
            RepositoryConfiguration.Read(settings),
            writes ? WalConfiguration.ReadForWriting(settings) : WalConfiguration.Read(settings, from),
            cli.Providers(encryption).For,
            encryption.IdentityFiles.Count > 0);
    }

    /// <summary>Keeps all else that changes what is archived already, and all of its kind, from running at the same time.</summary>
    /// <exception cref="BackupException">Another one runs, or the state directory can't be written.</exception>
    public Task<RunLock> LockAsync(CliSession cli, CancellationToken cancel) =>
        RunLock.TakeAsync(Repository.StateDirectory, "wal-archive cleanup or verify --repair", null, TimeSpan.Zero, cli.Time, cancel);
}
