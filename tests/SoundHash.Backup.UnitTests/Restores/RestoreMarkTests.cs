using SoundHash.Backup.Errors;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.UnitTests.Restores;

/// <summary>Of restores into one directory one is at work, whenever each of them looked.</summary>
public sealed class RestoreMarkTests
{
    private const int Enough = 200;

    [Fact(Timeout = HangLimit)]
    public async Task Of_many_that_begin_and_end_all_the_time_never_two_have_the_directory()
    {
        var folder = Directory.CreateTempSubdirectory("shbackup-mark-").FullName;
        try
        {
            var (inside, most, times) = (0, 0, 0);
            var workers = Enumerable.Range(1, 8).Select(number => Task.Run(() =>
            {
                var writer = new DataWriter(folder, null);
                for (var round = 0; Volatile.Read(ref times) < Enough; round++)
                {
                    try
                    {
                        using var mark = new RestoreMark((ulong)number, null).Write(writer);
                        var now = Interlocked.Increment(ref inside);
                        most = Math.Max(most, now);
                        times++;
                        // Done, and so is who removes the mark: the next one may begin before that returns.
                        Interlocked.Decrement(ref inside);
                        if (round % 3 == 0)
                        {
                            RestoreMark.Remove(writer);
                        }
                    }
                    catch (BackupException e) when (e.Kind == ErrorKind.Locked)
                    {
                    }
                }
            }));
            await Task.WhenAll(workers);

            Assert.Equal(1, most);
            Assert.True(times >= Enough, $"only {times} got in");
            Assert.DoesNotContain(Directory.GetFiles(folder), static f => Path.GetFileName(f).StartsWith('.'));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
