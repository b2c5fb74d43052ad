namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>The files that the tests were built from, to compare documentation with code.</summary>
internal static class SourceTree
{
    public static string Root { get; } = FindRoot();

    public static string Read(params string[] path) => File.ReadAllText(Path.Combine([Root, .. path]));

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "SoundHash.Backup.sln")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return folder;
    }
}
