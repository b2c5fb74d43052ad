using System.Globalization;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.Cli.Output;

/// <summary>Plans and results of physical restores as text.</summary>
internal static class PhysicalOutput
{
    public static void Print(Terminal terminal, PhysicalRestorePlan plan)
    {
        terminal.Line($"set        {plan.SetId}, begun {Sizes.Time(plan.SetStarted)}");
        terminal.Line($"directory  {plan.TargetDirectory}, which {plan.TargetState}");
        terminal.Line($"target     {plan.Target}, on timeline {plan.Timeline}");
        terminal.Line($"reachable  {plan.Window}");
        terminal.Line($"size       {Sizes.Bytes(plan.PlainBytes)} to write, {Sizes.Count(plan.WalSegments, "segment")} of WAL to replay at most");
        terminal.Line($"free       {(plan.FreeBytes is { } bytes ? Sizes.Bytes(bytes) : "unknown")} at the directory");
        terminal.Line(
            $"expected   {Sizes.Duration(TimeSpan.FromSeconds(plan.ExpectedSeconds))} without the replay, going by {plan.ExpectedFrom}");
        foreach (var (step, number) in plan.Steps.Select(static (s, i) => (s, i + 1)))
        {
            terminal.Line(string.Create(CultureInfo.InvariantCulture, $"  {number}. {step}"));
        }
    }

    public static void Print(Terminal terminal, PhysicalRestoreDocument document)
    {
        var result = document.Restore;
        terminal.Line(string.Join("  ", result.Phases.Select(static p => $"{p.Name} {Sizes.Duration(TimeSpan.FromSeconds(p.Seconds))}")));
        foreach (var file in result.OutsideConfiguration)
        {
            terminal.Line($"configuration  {file}");
        }

        terminal.Line(
            $"restored {result.SetId} to {result.TargetDirectory}: {Sizes.Count(result.Files, "file")}, {Sizes.Bytes(result.Bytes)}{Kept(result)}; "
            + $"recovery to {result.Target}, on timeline {result.Timeline}");
        if (result.Reached is { } reached)
        {
            terminal.Line(Reached(reached));
        }

        foreach (var step in result.NextSteps)
        {
            terminal.Line($"next: {step}");
        }
    }

    /// <summary>How far a started server is.</summary>
    public static string Describe(ReplayProgress progress)
    {
        var segment = progress.Segment is null ? "no segment yet" : $"segment {progress.Segment}";
        var replayed = progress.Replayed is null ? string.Empty : $"  at {progress.Replayed}";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"replay  {segment}  {progress.Segments} of at most {progress.Expected}  {progress.SegmentsPerSecond:0.0}/s{replayed}");
    }

    private static string Reached(ReachedMoment reached)
    {
        var transaction = reached.LastTransaction is null ? "no transaction" : $"the last transaction of {reached.LastTransaction}";
        var stopped = reached.StoppedAt is null ? string.Empty : $"; {reached.StoppedAt}";
        return $"the server {reached.State}: replayed to {reached.ReplayedLsn ?? "an unknown position"}, {transaction}{stopped}";
    }

    private static string Kept(PhysicalRestoreResult result) => result.FilesKept == 0 && result.FilesRemoved == 0
        ? " written"
        : $" written; {Sizes.Count(result.FilesKept, "file")} kept, {result.FilesRemoved} removed";
}
