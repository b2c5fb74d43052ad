using System.Diagnostics;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A folder that is gone when the test is over.</summary>
public sealed class TempFolder : IDisposable
{
    public TempFolder(string name = "test") => Path = Directory.CreateTempSubdirectory($"shbackup-{name}-").FullName;

    public string Path { get; }

    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>A run that reads WAL ahead goes on in the background after its command ended, and may write into the folder while it is removed.</summary>
    public void Dispose()
    {
        var patience = Stopwatch.StartNew();
        while (Directory.Exists(Path))
        {
            try
            {
                Directory.Delete(Path, recursive: true);
            }
            catch (IOException) when (patience.Elapsed < TimeSpan.FromSeconds(30))
            {
                Thread.Yield();
            }
        }
    }
}
