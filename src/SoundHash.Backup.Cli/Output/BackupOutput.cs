using System.Globalization;
using SoundHash.Backup.Backups;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli.Output;

/// <summary>Results of `backup`.</summary>
internal static class BackupOutput
{
    // The required copies are there.
    private const int PartialCode = 10;

    public static void Report(CliSession cli, IReadOnlyList<BackupOutcome> outcomes, TimeSpan elapsed, int code)
    {
        foreach (var error in outcomes.Select(static o => o.Error).OfType<BackupException>())
        {
            cli.ReportLines(error);
        }

        var items = outcomes.Select(static o => new BackupDocumentItem(
            o.Database,
            o.Set is null ? null : SetResult.Of(o.Set, o.Set.Expires, null),
            o.Written?.Copies.Select(WrittenCopy.Of).ToList(),
            o.Error is null ? null : ErrorResult.Of(o.Error))).ToList();
        cli.Print(new BackupDocument(items, elapsed.TotalSeconds, code), ResultJson.Default.BackupDocument, Print);
    }

    public static void Print(Terminal terminal, BackupPlanDocument plan) => terminal.Line(
        $"would back up {(plan.Kind == "physical" ? "the whole cluster" : string.Join(", ", plan.Databases))} to {plan.Store} " +
        $"({Sizes.Bytes(plan.Bytes)} on the server, encryption: {plan.Encryption}, compression: {plan.Compression}, jobs: {plan.Jobs})");

    private static void Print(Terminal terminal, BackupDocument document)
    {
        foreach (var item in document.Databases.Where(static d => d.Set is not null))
        {
            var set = item.Set!;
            var stored = $"{Sizes.Bytes(set.StoredBytes)} stored  encryption {set.Encryption}";
            var what = set.Physical is { } physical
                ? $"the whole cluster  {Sizes.Count(physical.Files, "file")}  WAL {physical.FirstSegment} to {physical.LastSegment}"
                : $"database \"{set.Database}\"";
            terminal.Line($"{set.Id}  {what}  {stored}  kept until {Sizes.Time(set.Expires)}");
            foreach (var copy in item.Copies is { Count: > 1 } copies ? copies : [])
            {
                terminal.Line(copy.Error is null
                    ? $"  {copy.Store}  {copy.State} in {Sizes.Duration(TimeSpan.FromSeconds(copy.Seconds))}, {Sizes.Bytes((long)copy.BytesPerSecond)}/s"
                    : $"  {copy.Store}  {copy.State.ToUpperInvariant()}: {copy.Error.Message}");
            }
        }

        var total = document.Databases.Count;
        var done = document.Databases.Count(static d => d.Error is null || d is { Set: not null, Error.ExitCode: PartialCode });
        var time = Sizes.Duration(TimeSpan.FromSeconds(document.Seconds));
        var isPhysical = document.Databases.Any(static d => d.Set?.Physical is not null || d.Database.Length == 0);
        terminal.Line(isPhysical
            ? $"{(document.Databases.All(static d => d.Set is not null) ? "backed up" : "not backed up")} in {time}"
            : string.Create(CultureInfo.InvariantCulture, $"{done} of {total} databases backed up in {time}"));
    }
}
