using SoundHash.Backup.Postgres;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// Remembers, in a local folder, which files of WAL stores have not got that could be done without, so that they get them later. A
/// store that failed is not asked again for five minutes: archiving must not wait for it with every segment.
/// </summary>
/// <param name="folder">Where it is remembered; made when it is needed.</param>
/// <param name="time">The clock.</param>
public sealed class WalBehind(string folder, TimeProvider time)
{
    private const string FailedMark = ".failed";
    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(5);

    /// <summary>True while a store is not asked.</summary>
    public bool IsPaused(string store)
    {
        var mark = new FileInfo(Path.Combine(folder, store, FailedMark));
        return mark.Exists && (time.GetUtcNow().UtcDateTime - mark.LastWriteTimeUtc).Duration() < Pause;
    }

    /// <summary>Says that a store failed just now.</summary>
    public void Failed(string store) => Touch(store, FailedMark);

    /// <summary>Says that a store lacks a file.</summary>
    public void Add(string store, WalFileName name) => Touch(store, name.Name);

    /// <summary>Says that a store has a file by now.</summary>
    public void Remove(string store, WalFileName name) => File.Delete(Path.Combine(folder, store, name.Name));

    /// <summary>What a store lacks, the oldest first.</summary>
    public IReadOnlyList<WalFileName> Of(string store)
    {
        var path = Path.Combine(folder, store);
        return !Directory.Exists(path) ? [] : Directory.EnumerateFiles(path).Select(static f => WalFileName.TryParse(Path.GetFileName(f)))
            .OfType<WalFileName>().OrderBy(static n => n.Name, StringComparer.Ordinal).ToList();
    }

    private void Touch(string store, string name)
    {
        var path = Path.Combine(folder, store);
        LocalFiles.MakeOwnDirectories(path);
        File.WriteAllBytes(Path.Combine(path, name), []);
    }
}
