using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Copies;

namespace SoundHash.Backup.Cli.Output;

/// <summary>The sets of a store, as `backup list` and `restore --list` show them.</summary>
internal static class SetListing
{
    public static ListDocument Of(AllCopies copies, StoreRetention retention) => new(
        copies.Catalogue.Sets.Where(static s => s.Manifest is not null)
            .Select(s => SetResult.Of(s.Manifest!, ExpiryOf(copies, s.Manifest!, retention), s) with { Copies = CopyResult.Of(copies, s.Id) })
            .ToList(),
        BrokenSet.Of(copies.Catalogue),
        UnfinishedSet.Of(copies.Catalogue));

    /// <summary>When the last copy of a set expires.</summary>
    public static DateTimeOffset ExpiryOf(AllCopies copies, Manifest set, StoreRetention retention) =>
        retention.LastExpiryOf(copies.CopiesOf(set.Id).Where(static c => c.Belongs).Select(static c => c.Store.Name), set.Tier, set.Started);

    public static void Print(Terminal terminal, ListDocument list, RepositoryConfiguration repository, DateTimeOffset now)
    {
        if (list.Sets.Count == 0)
        {
            terminal.Line(None(repository, list.Broken.Count));
            return;
        }

        var several = repository.Stores.Count > 1;
        var rows = list.Sets.Select(s => (string[])
        [
            s.Id,
            s.Physical is null ? s.Database : "(cluster)",
            s.Kind,
            s.Tier,
            Sizes.Age(now - s.Started),
            Sizes.Bytes(s.StoredBytes),
            s.Encryption,
            s.Pinned ? "pinned" : Sizes.Time(s.Expires)[..10],
            .. several ? (string[])[CopiesOf(s)] : [],
            StateOf(s),
        ]);
        string[] header = ["ID", "DATABASE", "KIND", "TIER", "AGE", "STORED", "ENCRYPTION", "EXPIRES", .. several ? (string[])["COPIES"] : [], "STATE"];
        foreach (var line in TextTable.Lines(header, rows))
        {
            terminal.Line(line);
        }
    }

    // A good copy by its store alone; any other with its state.
    private static string CopiesOf(SetResult set) =>
        string.Join(',', (set.Copies ?? []).Select(static c => c.State == SetCopyState.Ok.Word() ? c.Store : $"{c.Store}:{c.State}"));

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
    public static string None(RepositoryConfiguration repository, int broken)
    {
        if (broken > 0)
        {
            return $"none of the sets in {repository.Places} can be used: there is an error for each of {broken}";
        }

        return $"there are no sets in {Place(repository)}";
    }

    /// <summary>Where the sets are, and which directories are missing.</summary>
    public static string Place(RepositoryConfiguration repository) => string.Join(" and ", repository.Stores.Select(static s =>
        s is LocalStoreSettings local && !Directory.Exists(local.Directory) ? $"{s.Place}, which does not exist ({s.Setting}, BACKUP_CLUSTER)" : s.Place));

    /// <summary>Says what could not be listed as it should; a damaged set or copy makes exit code 8, an unread store 6.</summary>
    public static int ReportBroken(CliSession cli, ListDocument list, AllCopies copies)
    {
        ReportUnfinished(cli, list.Unfinished);
        var problems = copies.Problems.Concat(list.Sets.SelectMany(s => copies.CopiesOf(s.Id).Select(c => ProblemOf(s, c)).OfType<BackupException>())).ToList();
        problems.ForEach(cli.ReportLines);
        foreach (var broken in list.Broken)
        {
            cli.Terminal.ReportLines(broken.Problem, broken.Hint);
        }

        var codes = list.Sets.Select(s => ReportDamage(cli, s)).ToList();
        return ExitCodes.Worst(
            [list.Broken.Count > 0 ? ExitCodes.For(ErrorKind.Verification) : ExitCodes.Success, ExitCodes.WorstOf(problems), .. codes]);
    }

    // Of a set that is whole all the same, by its other copies.
    private static BackupException? ProblemOf(SetResult set, SetCopy copy) =>
        set.Copies is null || !set.Complete || copy.State is not (SetCopyState.Damaged or SetCopyState.Broken) ? null : new BackupException(
            ErrorKind.Verification,
            $"the copy of set {set.Id} in store {copy.Store.Name} is {copy.State.Word()}"
            + (copy.Entry?.Problem is { } why ? $": {why.Message}" : $": {string.Join(", ", copy.Entry?.DamagedObjects.Append("manifest.json").Take(1) ?? ["manifest.json"])}"),
            $"another copy is whole; to read them all: shbackup backup verify {set.Id}");

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
