using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup list</summary>
internal sealed class BackupListCommand(CommonOptions common)
    : VerbCommand("list", "List the sets, newest first", common)
{
    public override IReadOnlyList<string> Examples { get; } = ["shbackup backup list", "shbackup backup list --json"];

    public override IReadOnlyList<int> ExitCodes { get; } = [6, 8];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings);
        var retention = RetentionConfiguration.Read(settings);
        settings.ThrowIfInvalid();

        var catalogue = await Catalogue.LoadAsync(RepositoryAccess.Open(repository), cancel);
        var document = SetListing.Of(catalogue, retention);
        cli.Print(document, ResultJson.Default.ListDocument, (terminal, list) => SetListing.Print(terminal, list, cli.Time.GetUtcNow()));
        return SetListing.ReportBroken(cli, document);
    }
}

/// <summary>The table of sets, as `backup list` and `restore --list` show it.</summary>
internal static class SetListing
{
    public static ListDocument Of(Catalogue catalogue, RetentionDays retention) => new(
        catalogue.Sets.Where(static s => s.Manifest is not null)
            .Select(s => SetResult.Of(s.Manifest!, retention.ExpiryOf(s.Manifest!.Tier, s.Manifest.Started), s)).ToList(),
        catalogue.Sets.Where(static s => s.Problem is not null).Select(static s => new BrokenSet(s.Id, s.Problem!.Message)).ToList());

    public static void Print(Terminal terminal, ListDocument list, DateTimeOffset now)
    {
        if (list.Sets.Count == 0)
        {
            terminal.Line("there are no sets");
            return;
        }

        var rows = list.Sets.Select(s => new[]
        {
            s.Id,
            s.Database,
            s.Kind,
            s.Tier,
            Sizes.Age(now - s.Started),
            Sizes.Bytes(s.StoredBytes),
            s.Encryption,
            s.Pinned ? "pinned" : Sizes.Time(s.Expires)[..10],
            s.Complete ? "ok" : $"DAMAGED: {string.Join(", ", s.DamagedObjects)}",
        });
        foreach (var line in TextTable.Lines(["ID", "DATABASE", "KIND", "TIER", "AGE", "STORED", "ENCRYPTION", "EXPIRES", "STATE"], rows))
        {
            terminal.Line(line);
        }
    }

    /// <summary>Says what could not be listed as it should; a damaged set makes exit code 8.</summary>
    public static int ReportBroken(CliSession cli, ListDocument list)
    {
        foreach (var broken in list.Broken)
        {
            cli.Terminal.ErrorLine($"error: {broken.Problem}");
        }

        return list.Broken.Count > 0 || list.Sets.Any(static s => !s.Complete)
            ? Errors.ExitCodes.For(ErrorKind.Verification)
            : Errors.ExitCodes.Success;
    }
}
