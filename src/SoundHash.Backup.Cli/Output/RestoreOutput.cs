using System.Globalization;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.Cli.Output;

/// <summary>Plans and results of restores as text.</summary>
internal static class RestoreOutput
{
    public static void Print(Terminal terminal, PlanDocument document)
    {
        foreach (var plan in document.Plans)
        {
            terminal.Line($"set        {plan.SetId}");
            terminal.Line($"database   \"{TextTable.Printable(plan.Database)}\"  tier {plan.Tier}  age {Sizes.Age(plan.Age)}  copies {string.Join(", ", plan.Copies)}");
            terminal.Line($"target     \"{TextTable.Printable(plan.Target)}\", which {(plan.TargetState == "missing" ? "does not exist" : plan.TargetState == "empty" ? "is empty" : "has objects")}");
            terminal.Line($"size       {Sizes.Bytes(plan.PlainBytes)} to load; {Sizes.Bytes(plan.DatabaseBytes)} on its server");
            terminal.Line($"free       {(plan.FreeBytes is { } free ? Sizes.Bytes(free) : "unknown (the server's disk can't be seen from here)")} at the target");
            terminal.Line($"expected   {Sizes.Duration(TimeSpan.FromSeconds(plan.ExpectedSeconds))}, going by {plan.ExpectedFrom}");
            foreach (var (step, number) in plan.Steps.Select(static (s, i) => (s, i + 1)))
            {
                terminal.Line(string.Create(CultureInfo.InvariantCulture, $"  {number}. {TextTable.Printable(step)}"));
            }
        }
    }

    public static void Print(Terminal terminal, RestoreDocument document)
    {
        foreach (var result in document.Restores.Select(static r => r.Result).OfType<RestoreResult>())
        {
            terminal.Line(string.Join("  ", result.Phases.Select(static p => $"{p.Name} {Sizes.Duration(TimeSpan.FromSeconds(p.Seconds))}")));
            foreach (var difference in result.Differences)
            {
                terminal.Line($"DIFFERENT  {TextTable.Printable(difference.Table)} {TextTable.Printable(difference.Problem)}");
            }

            terminal.Line(Summary(result));
        }
    }

    private static string Summary(RestoreResult result)
    {
        var kept = result.KeptAs is null ? string.Empty : $"; the old database is kept as \"{TextTable.Printable(result.KeptAs)}\"";
        var database = TextTable.Printable(result.Database);
        if (result.Differences.Count > 0)
        {
            return string.Create(
                CultureInfo.InvariantCulture,
                $"{result.Differences.Count} of {result.TablesCompared} tables differ from the set; what was restored is in \"{database}\"");
        }

        return result.TablesCompared == 0
            ? $"restored {result.SetId} to \"{database}\"{kept}; no rows were compared"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"restored {result.SetId} to \"{database}\"{kept}; {result.TablesCompared} tables with {result.Rows:N0} rows are as recorded{(result.FingerprintsCompared > 0 ? $", {result.FingerprintsCompared} by content" : string.Empty)}");
    }
}
