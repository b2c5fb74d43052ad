namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A folder that is gone when the test is over.</summary>
public sealed class TempFolder : IDisposable
{
    public TempFolder(string name = "test") => Path = Directory.CreateTempSubdirectory($"shbackup-{name}-").FullName;

    public string Path { get; }

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        if (Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }
    }
}
