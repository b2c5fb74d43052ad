namespace SoundHash.Backup.UnitTests;

/// <summary>What neither the build nor the check of white space looks at, so that dotnet format has nothing to change.</summary>
public sealed class SourceStyleTests
{
    private const string Using = "using ";

    [Fact]
    public void Usings_are_in_order_those_of_System_first()
    {
        foreach (var file in Sources())
        {
            var names = File.ReadLines(file).Where(static l => l.StartsWith(Using, StringComparison.Ordinal) && l.EndsWith(';') && !l.Contains('('))
                .Select(static l => l[Using.Length..^1]).Where(static n => !n.Contains(' ', StringComparison.Ordinal)).ToList();
            Assert.Equal(names.OrderBy(static n => n != "System" && !n.StartsWith("System.", StringComparison.Ordinal)).ThenBy(static n => n, StringComparer.OrdinalIgnoreCase), names);
        }
    }

    private static IEnumerable<string> Sources()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "SoundHash.Backup.sln")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return new[] { "src", "tests" }.SelectMany(f => Directory.GetFiles(Path.Combine(folder, f), "*.cs", SearchOption.AllDirectories));
    }
}
