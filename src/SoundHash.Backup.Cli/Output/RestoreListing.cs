using SoundHash.Backup.Configuration;

namespace SoundHash.Backup.Cli.Output;

/// <summary>`restore --list` as text.</summary>
internal static class RestoreListing
{
    public static void Print(Terminal terminal, RestoreListDocument document, RepositoryConfiguration repository, DateTimeOffset now)
    {
        if (document.Sets.Count == 0)
        {
            terminal.Line(SetListing.None(repository, document.Broken.Count));
            return;
        }

        var rows = document.Sets.Select(s => new[]
        {
            s.Set.Id,
            s.Set.Physical is null ? s.Set.Database : "(cluster)",
            Sizes.Age(now - s.Set.Started),
            s.Set.Tier,
            Sizes.Bytes(s.Set.StoredBytes),
            Sizes.Bytes(s.Set.DatabaseBytes),
            string.Join(",", s.Copies),
            $"about {Sizes.Duration(TimeSpan.FromSeconds(s.ExpectedSeconds))}",
            SetListing.StateOf(s.Set),
        });
        string[] header = ["ID", "DATABASE", "AGE", "TIER", "STORED", "ON SERVER", "COPIES", "EXPECTED TIME", "STATE"];
        foreach (var line in TextTable.Lines(header, rows))
        {
            terminal.Line(line);
        }

        var free = document.FreeBytesAtTarget is { } bytes ? Sizes.Bytes(bytes) : "unknown (the server's disk can't be seen from here)";
        terminal.Line($"free at the target: {free}");
    }
}
