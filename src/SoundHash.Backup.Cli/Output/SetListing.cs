using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Output;

/// <summary>The sets of a store, as `backup list` and `restore --list` show them.</summary>
internal static class SetListing
{
    public static ListDocument Of(Catalogue catalogue, RetentionDays retention) => new(
        catalogue.Sets.Where(static s => s.Manifest is not null)
            .Select(s => SetResult.Of(s.Manifest!, retention.ExpiryOf(s.Manifest!.Tier, s.Manifest.Started), s)).ToList(),
        BrokenSet.Of(catalogue));

    public static void Print(Terminal terminal, ListDocument list, string directory, DateTimeOffset now)
    {
        if (list.Sets.Count == 0)
        {
            terminal.Line(None(directory));
            return;
        }

        var rows = list.Sets.Select(s => new[]
        {
            s.Id,
            s.Physical is null ? s.Database : "(cluster)",
            s.Kind,
            s.Tier,
            Sizes.Age(now - s.Started),
            Sizes.Bytes(s.StoredBytes),
            s.Encryption,
            s.Pinned ? "pinned" : Sizes.Time(s.Expires)[..10],
            StateOf(s),
        });
        string[] header = ["ID", "DATABASE", "KIND", "TIER", "AGE", "STORED", "ENCRYPTION", "EXPIRES", "STATE"];
        foreach (var line in TextTable.Lines(header, rows))
        {
            terminal.Line(line);
        }
    }

    private static string StateOf(SetResult set) => set switch
    {
        { Complete: false } => $"DAMAGED: {string.Join(", ", set.DamagedObjects)}",
        { Physical.DamagedPages: > 0 } => $"NOT GOOD: {Sizes.Count(set.Physical.DamagedPages, "damaged page")}",
        _ => "ok",
    };

    /// <summary>Says where it looked: a mistyped BACKUP_DIR must not pass for a store without sets.</summary>
    public static string None(string directory) =>
        $"there are no sets in {directory}{(Directory.Exists(directory) ? string.Empty : ", which does not exist (BACKUP_DIR, BACKUP_CLUSTER)")}";

    /// <summary>Says what could not be listed as it should; a damaged set makes exit code 8.</summary>
    public static int ReportBroken(CliSession cli, ListDocument list)
    {
        foreach (var broken in list.Broken)
        {
            cli.Terminal.ReportLines(broken.Problem, broken.Hint);
        }

        foreach (var set in list.Sets.Where(static s => !s.Complete))
        {
            cli.Terminal.ReportLines(
                $"set {set.Id} is damaged: {string.Join(", ", set.DamagedObjects)} missing, or not as long as recorded",
                "use another set; shbackup backup verify --all tells which are good");
        }

        return list.Broken.Count > 0 || list.Sets.Any(static s => !s.Complete) ? ExitCodes.For(ErrorKind.Verification) : ExitCodes.Success;
    }
}
