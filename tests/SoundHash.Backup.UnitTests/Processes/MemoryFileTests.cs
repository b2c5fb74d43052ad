using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Processes;

/// <summary>A file that children can seek in and that no disk ever sees.</summary>
public sealed class MemoryFileTests
{
    [Fact(Timeout = HangLimit)]
    public async Task A_child_reads_it_by_its_path_as_often_as_it_likes()
    {
        using var file = new MemoryFile("post-data");
        await file.Stream.WriteAsync("CREATE INDEX"u8.ToArray(), Cancel);

        Assert.Equal("CREATE INDEXINDEX", await Children.Launcher.ReadOutputAsync(
            Children.Shell($"cat '{file.Path}'; tail -c 5 '{file.Path}'"), Cancel));
    }

    [Fact]
    public void It_is_gone_when_it_is_disposed_of()
    {
        string path;
        using (var file = new MemoryFile("post-data"))
        {
            path = file.Path;
            Assert.True(File.Exists(path));
        }

        Assert.False(File.Exists(path));
    }
}
