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
            var copies = string.Join(", ", plan.Copies);
            terminal.Line($"database   \"{plan.Database}\"  tier {plan.Tier}  age {Sizes.Age(plan.Age)}  copies {copies}");
            terminal.Line($"target     \"{plan.Target}\", which {Describe(plan.TargetState)}");
            terminal.Line($"size       {Sizes.Bytes(plan.PlainBytes)} to load; {Sizes.Bytes(plan.DatabaseBytes)} on its server");
            var free = plan.FreeBytes is { } bytes ? Sizes.Bytes(bytes) : "unknown (the server's disk can't be seen from here)";
            terminal.Line($"free       {free} at the target");
            terminal.Line($"expected   {Sizes.Duration(TimeSpan.FromSeconds(plan.ExpectedSeconds))}, going by {plan.ExpectedFrom}");
            foreach (var (step, number) in plan.Steps.Select(static (s, i) => (s, i + 1)))
            {
                terminal.Line(string.Create(CultureInfo.InvariantCulture, $"  {number}. {step}"));
            }
        }
    }

    public static void Print(Terminal terminal, RestoreDocument document)
    {
        foreach (var result in document.Restores.Select(static r => r.Result).OfType<RestoreResult>())
        {
            terminal.Line(
                string.Join("  ", result.Phases.Select(static p => $"{p.Name} {Sizes.Duration(TimeSpan.FromSeconds(p.Seconds))}")));
            foreach (var difference in result.Differences)
            {
                terminal.Line($"DIFFERENT  {difference.Table} {difference.Problem}");
            }

            terminal.Line(Summary(result));
        }
    }

    private static string Describe(string state) => state switch
    {
        "missing" => "does not exist",
        "empty" => "is empty",
        _ => state,
    };

    private static string Summary(RestoreResult result)
    {
        var kept = result.KeptAs is null ? string.Empty : $"; the old database is kept as \"{result.KeptAs}\"";
        if (result.Differences.Count > 0)
        {
            return $"{Sizes.Count(result.Differences.Count, "difference")} from the set; what was restored is in \"{result.Database}\"";
        }

        var compared = $"{Sizes.Count(result.TablesCompared, "table")} with {Sizes.Count(result.Rows, "row")} as recorded";
        var content = result.FingerprintsCompared > 0 ? $", {result.FingerprintsCompared} by content" : string.Empty;
        return $"restored {result.SetId} to \"{result.Database}\"{kept}; {(result.TablesCompared == 0 ? "no rows were compared" : compared + content)}";
    }
}
