using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Output;

/// <summary>The sets of a store, as `backup list` and `restore --list` show them.</summary>
internal static class SetListing
{
    public static ListDocument Of(Catalogue catalogue, RetentionDays retention) => new(
        catalogue.Sets.Where(static s => s.Manifest is not null)
            .Select(s => SetResult.Of(s.Manifest!, retention.ExpiryOf(s.Manifest!.Tier, s.Manifest.Started), s)).ToList(),
        BrokenSet.Of(catalogue),
        UnfinishedSet.Of(catalogue));

    public static void Print(Terminal terminal, ListDocument list, string directory, DateTimeOffset now)
    {
        if (list.Sets.Count == 0)
        {
            terminal.Line(None(directory, list.Broken.Count));
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

    /// <summary>Whether a set is good, in a word or a few.</summary>
    public static string StateOf(SetResult set) => set switch
    {
        { Complete: false } => $"DAMAGED: {string.Join(", ", set.DamagedObjects)}",
        { Physical.DamagedPages: > 0 } => $"NOT GOOD: {Sizes.Count(set.Physical.DamagedPages, "damaged page")}",
        _ => "ok",
    };

    /// <summary>
    /// Says where it looked: neither a mistyped BACKUP_DIR nor sets whose manifests can't be used may pass for a store without
    /// sets.
    /// </summary>
    public static string None(string directory, int broken)
    {
        if (broken > 0)
        {
            return $"none of the sets in {directory} can be used: there is an error for each of {broken}";
        }

        return $"there are no sets in {Place(directory)}";
    }

    /// <summary>A directory, and that it is missing when it is.</summary>
    public static string Place(string directory) =>
        Directory.Exists(directory) ? directory : $"{directory}, which does not exist (BACKUP_DIR, BACKUP_CLUSTER)";

    /// <summary>Says what could not be listed as it should; a damaged set makes exit code 8.</summary>
    public static int ReportBroken(CliSession cli, ListDocument list)
    {
        ReportUnfinished(cli, list.Unfinished);
        foreach (var broken in list.Broken)
        {
            cli.Terminal.ReportLines(broken.Problem, broken.Hint);
        }

        var codes = list.Sets.Select(s => ReportDamage(cli, s)).ToList();
        return ExitCodes.Worst([list.Broken.Count > 0 ? ExitCodes.For(ErrorKind.Verification) : ExitCodes.Success, .. codes]);
    }

    /// <summary>Says what is no set yet, or no more: no error, since a backup may be running.</summary>
    public static void ReportUnfinished(CliSession cli, IReadOnlyList<UnfinishedSet> unfinished)
    {
        foreach (var set in unfinished)
        {
            cli.Log.Warning(
                "{Id:l} is no set: a run writes or removes it just now, or was killed in that (last written {Time:l}); a backup of the same"
                + " database removes what a killed one left, and so does shbackup backup expire after a day",
                set.Id,
                Sizes.Time(set.LastWritten));
        }
    }

    /// <summary>Says what of a set is damaged, if anything; then the exit code is 8.</summary>
    public static int ReportDamage(CliSession cli, SetResult set)
    {
        if (set.DamagedObjects.Count > 0)
        {
            cli.Terminal.ReportLines(
                $"set {set.Id} is damaged: {string.Join(", ", set.DamagedObjects)} missing, or not as long as recorded",
                "use another set; shbackup backup verify --all tells which are good");
            return ExitCodes.For(ErrorKind.Verification);
        }

        if (set.Physical?.DamagedPages > 0)
        {
            cli.ReportLines(SetVerifier.DamagedPages(set.Id, set.Physical.DamagedPages));
            return ExitCodes.For(ErrorKind.Verification);
        }

        return ExitCodes.Success;
    }
}
