using System.CommandLine;
using System.Globalization;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive status</summary>
internal sealed class WalStatusCommand(CommonOptions common)
    : VerbCommand("status", "Show how far archiving is, and to which moments recovery can go", common)
{
    public override IReadOnlyList<string> Examples { get; } = ["shbackup wal-archive status", "shbackup wal-archive status --json"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var own = WalSiteSettings.Read(cli, settings, writes: false);
        settings.ThrowIfInvalid();

        var site = await WalSite.OpenAsync(cli, own, askServer: true, cancel);
        var clusters = await site.ClustersAsync(cancel);
        if (clusters.Count == 0)
        {
            throw new BackupException(ErrorKind.Verification, site.Nothing(), "shbackup wal-archive generate-config says how to archive");
        }

        var problems = clusters.ToDictionary(static c => c, c => ProblemsOf(c).ToList());
        var all = site.BrokenSets.Concat(problems.Values.SelectMany(static p => p)).ToList();
        var code = ExitCodes.WorstOf(all);
        var now = cli.Time.GetUtcNow();
        var document = new WalStatusDocument(
            clusters.Select(c => ResultOf(c, problems[c], now)).ToList(), site.ServerProblem, code);
        cli.Print(document, ResultJson.Default.WalStatusDocument, Print);
        all.ForEach(cli.ReportLines);
        return code;
    }

    private static IEnumerable<BackupException> ProblemsOf(WalCluster cluster)
    {
        foreach (var (finding, _) in cluster.Findings)
        {
            if (WalText.Problem(cluster.SystemIdentifier, finding) is { } gap)
            {
                yield return gap;
            }
        }

        foreach (var set in cluster.Sets)
        {
            if (cluster.Wal.Index.FirstMissingFor(set.Physical!) is { } missing)
            {
                yield return new BackupException(
                    ErrorKind.Verification,
                    $"set {set.Id} can't be made consistent: WAL segment {missing} is not in the archive",
                    "shbackup wal-archive verify --repair fetches what the server still has, else take a new physical backup");
            }
        }

        if (cluster.Server is { Archiver: { IsFailing: true } archiver })
        {
            yield return new BackupException(
                ErrorKind.Verification,
                $"PostgreSQL's archiver failed with {archiver.LastFailed} at {Sizes.Time(archiver.LastFailedTime!.Value)}",
                "the server's log has what archive_command said");
        }
    }

    private static WalStatusResult ResultOf(WalCluster cluster, List<BackupException> problems, DateTimeOffset now)
    {
        var index = cluster.Wal.Index;
        var timeline = cluster.Server?.Timeline ?? index.Timelines.LastOrDefault(t => index.Of(t).Count > 0);
        var last = LastOf(index, timeline);
        var lag = cluster.Server is { } server && last is { } archived
            ? (long)Math.Max(0, (decimal)server.Position.Value - archived.Segment.End.Value)
            : (long?)null;
        double? age = last is null ? null : Math.Max(0, (now - last.Value.Entry.Stored).TotalSeconds);
        return new WalStatusResult(
            WalLayout.SystemFolder(cluster.SystemIdentifier),
            cluster.Server is { } asked ? ServerOf(asked) : null,
            last?.Segment.Name,
            last?.Entry.Stored,
            age,
            lag,
            lag switch { null => null, 0 => 0, _ => age },
            cluster.Sets.SelectMany(s => WalReach.Of(index, s).Select(r => new WalWindowResult(
                s.Id, r.Timeline, r.From.ToString(), r.To.ToString(), r.FromTime, r.ToTime))).ToList(),
            cluster.Findings.Select(static f => WalGapResult.Of(f.Finding)).ToList(),
            problems.Concat(cluster.Wal.Problems).Select(static p => p.Message).ToList());
    }

    // Just after a promotion nothing of the new timeline is there: then it is the last one of its line.
    private static WalIndexed? LastOf(WalIndex index, uint timeline) => index.LineTo(timeline).PiecesFrom(0)
        .Select(p => index.Within(p).LastOrDefault()).LastOrDefault(static w => w.Entry is not null) is { Entry: not null } last ? last : null;

    private static WalServerResult ServerOf(ServerWal server) => new(
        server.Timeline,
        server.Position.ToString(),
        server.InRecovery,
        server.ArchiveMode,
        server.ArchivesWithUs,
        server.ReadyFiles?.Count,
        server.Archiver.LastArchived,
        server.Archiver.LastArchivedTime,
        server.Archiver.LastFailed,
        server.Archiver.LastFailedTime,
        server.Archiver.IsFailing);

    private static void Print(Terminal terminal, WalStatusDocument document)
    {
        foreach (var cluster in document.Clusters)
        {
            terminal.Line($"cluster {cluster.SystemIdentifier}");
            terminal.Line($"  server    {(cluster.Server is { } server ? Describe(server) : $"unknown: {document.ServerProblem ?? "the server is another cluster"}")}");
            terminal.Line($"  archive   {Archive(cluster)}");
            foreach (var window in cluster.Windows)
            {
                terminal.Line(
                    $"  recovery  to any moment from {Sizes.Time(window.FromTime)} to {Sizes.Time(window.ToTime)} "
                    + $"(LSN {window.FromLsn} to {window.ToLsn}, timeline {window.Timeline}) with set {window.SetId}");
            }

            if (cluster.Windows.Count == 0)
            {
                terminal.Line("  recovery  to no moment: there is no physical backup that this WAL makes consistent");
            }

            foreach (var gap in cluster.Gaps)
            {
                terminal.Line($"  not there {gap.State}: {WalText.Of(gap)}");
            }
        }
    }

    private static string Describe(WalServerResult server)
    {
        var role = server.InRecovery ? "in recovery, " : string.Empty;
        var command = server.ArchivesWithShbackup ? "archive_command calls shbackup" : "archive_command does not call shbackup";
        var ready = server.Ready is { } count ? $"{Sizes.Count(count, "file")} wait" : "how many files wait can't be seen";
        return $"{role}timeline {server.Timeline} at {server.Position}; archive_mode {server.ArchiveMode}, {command}; {ready}";
    }

    private static string Archive(WalStatusResult cluster)
    {
        if (cluster.LastSegment is null)
        {
            return "nothing";
        }

        var age = Sizes.Age(TimeSpan.FromSeconds(cluster.AgeSeconds!.Value));
        var lag = cluster.LagBytes is { } bytes
            ? string.Create(CultureInfo.InvariantCulture, $"{Sizes.Bytes(bytes)} and {cluster.LagSeconds:0} s behind the server")
            : "how far it is behind the server is unknown";
        return $"last segment {cluster.LastSegment}, stored {age} ago; {lag}";
    }
}
