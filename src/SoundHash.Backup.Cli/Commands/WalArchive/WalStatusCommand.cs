using System.CommandLine;
using System.Globalization;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive status</summary>
internal sealed class WalStatusCommand(CommonOptions common)
    : VerbCommand("status", "Show how far archiving is, and to which moments recovery can go", common)
{
    public override IReadOnlyList<string> Examples { get; } = ["shbackup wal-archive status", "shbackup wal-archive status --json"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.ChildFailed, ErrorKind.Storage, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var own = WalSiteSettings.Read(cli, settings, writes: false);
        settings.ThrowIfInvalid();

        var site = await WalSite.OpenAsync(cli, own, askServer: true, cancel);
        var clusters = await site.ClustersAsync(cancel);
        if (clusters.Count == 0)
        {
            var why = site.Server is { } asked ? ProblemsOf(asked).ToList() : [];
            why.ForEach(cli.ReportLines);
            throw new BackupException(ErrorKind.Verification, site.Nothing(), "shbackup wal-archive generate-config says how to archive");
        }

        var unasked = site.ServerProblem is { } e
            ? new BackupException(e.Kind, $"the server can't be asked, so that this is the archive's side alone: {e.Message}", e.Hint, e)
            : null;
        // Where no server is named, this is the archive's machine, and its side is all there is.
        var isMissed = unasked is not null && DatabaseConfiguration.IsGiven(settings);
        if (unasked is not null && !isMissed)
        {
            cli.Log.Warning("{Message:l}", unasked.Message);
        }

        var problems = clusters.ToDictionary(static c => c, c => ProblemsOf(c).ToList());
        // Of a server whose WAL is not here at all, nothing below says a word.
        var stranger = site.Server is { } server && clusters.All(c => c.SystemIdentifier != server.SystemIdentifier)
            ? ProblemsOf(server).Prepend(new BackupException(
                ErrorKind.Verification,
                $"nothing of the server's own cluster, system identifier {server.SystemIdentifier}, is archived here",
                "check DATABASE_HOST, DATABASE_PORT, BACKUP_WAL_DIR and BACKUP_CLUSTER; shbackup wal-archive generate-config says how to archive"))
            : [];
        var all = site.BrokenSets.Concat(problems.Values.SelectMany(static p => p)).Concat(stranger)
            .Concat(site.Unrecoverable(clusters)).Concat(isMissed ? [unasked!] : []).ToList();
        var code = ExitCodes.WorstOf(all);
        var now = cli.Time.GetUtcNow();
        var document = new WalStatusDocument(
            clusters.Select(c => ResultOf(c, problems[c], now)).ToList(), site.ServerProblem?.Message, all.ConvertAll(ErrorResult.Of), code);
        cli.Print(document, ResultJson.Default.WalStatusDocument, Print);
        all.ForEach(cli.ReportLines);
        return code;
    }

    private static IEnumerable<BackupException> ProblemsOf(WalCluster cluster)
    {
        foreach (var problem in cluster.Problems)
        {
            yield return problem;
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

        foreach (var problem in cluster.Server is { } server ? ProblemsOf(server) : [])
        {
            yield return problem;
        }
    }

    private static IEnumerable<BackupException> ProblemsOf(ServerWal server)
    {
        if (server.IsUnarchived)
        {
            yield return new BackupException(
                ErrorKind.Verification,
                $"the server does not archive its WAL: {(server.ArchiveMode == "off" ? "archive_mode is off" : "archive_command is empty")}, and no receiver is connected; what it writes now can't be recovered",
                "shbackup wal-archive generate-config --apply, then restart the server; or shbackup wal-archive receive");
        }

        if (server is { Archiver: { IsFailing: true } archiver })
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
        var last = WalCluster.LastOf(index, WalCluster.TimelineOf(index, cluster.Server));
        // A piece ends with the last byte that is not 0, and a record at a multiple of 8 (MAXALIGN).
        var end = cluster.Received is { } pieces ? new Lsn((pieces.End.Value + 7) & ~7UL) : last?.Segment.End;
        var lag = cluster.Server is { } server && end is { } archived
            ? (long)Math.Max(0, (decimal)server.Position.Value - archived.Value)
            : (long?)null;
        double? age = last is null ? null : Math.Max(0, (now - last.Value.Entry.Stored).TotalSeconds);
        var behind = cluster.Received is { } received ? Math.Max(0, (now - received.Stored).TotalSeconds) : age;
        return new WalStatusResult(
            WalLayout.SystemFolder(cluster.SystemIdentifier),
            cluster.Server is { } asked ? ServerOf(asked) : null,
            last?.Segment.Name,
            last?.Entry.Stored,
            age,
            lag,
            lag switch { null => null, 0 => 0, _ => behind },
            cluster.Windows.Select(static w => new WalWindowResult(
                w.Set.Id, w.Reach.Timeline, w.Reach.From.ToString(), w.Reach.To.ToString(), w.Reach.FromTime, w.Reach.ToTime)).ToList(),
            cluster.Findings.Select(static f => WalGapResult.Of(f.Finding)).ToList(),
            problems.Concat(cluster.Wal.Problems).Select(static p => p.Message).ToList(),
            cluster.Received?.End.ToString(),
            cluster.Received?.Stored);
    }

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
                    $"  recovery  to any moment from {Sizes.Time(window.FromTime)} to the end of what was archived at {Sizes.Time(window.ToTime)} "
                    + $"(LSN {window.FromLsn} to {window.ToLsn}, timeline {window.Timeline}) with set {window.SetId}");
            }

            if (cluster.Windows.Count == 0)
            {
                terminal.Line("  recovery  to no moment: there is no good physical backup that this WAL makes consistent");
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
        var received = cluster.ReceivedLsn is { } to ? $", received pieces to {to} of {Sizes.Time(cluster.ReceivedStored!.Value)}" : string.Empty;
        return $"last segment {cluster.LastSegment}, stored {age} ago{received}; {lag}";
    }
}
