using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive list</summary>
internal sealed class WalListCommand(CommonOptions common)
    : VerbCommand("list", "List what is archived, by cluster and timeline, with its gaps", common)
{
    public override IReadOnlyList<string> Examples { get; } = ["shbackup wal-archive list", "shbackup wal-archive list --json"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.Storage, ErrorKind.Verification];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var own = WalSiteSettings.Read(cli, settings, writes: false);
        settings.ThrowIfInvalid();

        var site = await WalSite.OpenAsync(cli, own, askServer: true, cancel);
        if (site.ServerProblem is { } unasked)
        {
            cli.Log.Information("the server can't be asked what it has not archived yet: {Problem:l}", unasked.Message);
        }

        var clusters = await site.ClustersAsync(cancel);
        var problems = clusters.SelectMany(static c => c.Problems).ToList();
        var code = ExitCodes.WorstOf(problems);
        var document = new WalListDocument(own.Wal.Places, clusters.Select(WalClusterResult.Of).ToList(), problems.ConvertAll(ErrorResult.Of), code);
        cli.Print(document, ResultJson.Default.WalListDocument, (terminal, list) => Print(terminal, list, site));
        problems.ForEach(cli.ReportLines);
        foreach (var problem in clusters.SelectMany(static c => c.Wal.Problems))
        {
            cli.Log.Warning("{Message:l}; {Hint:l}", problem.Message, problem.Hint);
        }

        return code;
    }

    private static void Print(Terminal terminal, WalListDocument document, WalSite site)
    {
        if (document.Clusters.Count == 0)
        {
            terminal.Line(site.Nothing());
        }

        foreach (var cluster in document.Clusters)
        {
            terminal.Line($"cluster {cluster.SystemIdentifier}, segments of {Sizes.Bytes(cluster.SegmentBytes)}");
            foreach (var line in TextTable.Lines(WalText.Header, cluster.Timelines.Select(WalText.Row)))
            {
                terminal.Line($"  {line}");
            }

            if (cluster.ReceivedLsn is { } received)
            {
                terminal.Line($"  received pieces of the segment after the last, to {received}");
            }

            foreach (var gap in cluster.Gaps)
            {
                terminal.Line($"  not there ({gap.State}): {WalText.Of(gap)}");
            }
        }
    }
}
