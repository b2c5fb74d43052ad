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
            terminal.Line($"free       {Free(plan.FreeBytes)} at the target");
            terminal.Line($"expected   {Sizes.Duration(TimeSpan.FromSeconds(plan.ExpectedSeconds))}, going by {plan.ExpectedFrom}");
            Print(terminal, plan.Steps);
        }
    }

    public static void Print(Terminal terminal, FilePlanDocument document)
    {
        var plan = document.Plan;
        var around = string.Concat(new[] { plan.Compression, plan.Encryption }.Where(static w => w != "none").Select(static w => $", {w}"));
        terminal.Line($"file       {plan.File}");
        terminal.Line($"holds      {(plan.Kind == "script" ? "an SQL script" : $"a pg_dump archive ({plan.Kind})")}{around}");
        terminal.Line(plan.Database is null
            ? "database   unknown"
            : $"database   \"{plan.Database}\" of PostgreSQL {plan.ServerVersion}, dumped {plan.Dumped} by the clock there, by pg_dump {plan.DumpVersion}");
        terminal.Line($"target     \"{plan.Target}\", which {Describe(plan.TargetState)}");
        terminal.Line($"size       {Sizes.Bytes(plan.StoredBytes)}, as it is stored");
        terminal.Line($"free       {Free(plan.FreeBytes)} at the target");
        Print(terminal, plan.Steps);
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

    private static void Print(Terminal terminal, IReadOnlyList<string> steps)
    {
        foreach (var (step, number) in steps.Select(static (s, i) => (s, i + 1)))
        {
            terminal.Line(string.Create(CultureInfo.InvariantCulture, $"  {number}. {step}"));
        }
    }

    private static string Free(long? bytes) => bytes is { } known ? Sizes.Bytes(known) : "unknown (the server's disk can't be seen from here)";

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
