using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Makes everything durable that was written to some file systems. A failed write that the kernel did on its own is told to those alone
/// who had the file system open before it (syncfs(2)): so each is opened before anything is written there.
/// </summary>
internal sealed class FileSystemSync : IDisposable
{
    // Before Linux 5.8 syncfs does not tell of failed writes.
    private static readonly Version TellsOfFailures = new(5, 8);

    // Of linux/magic.h, and of OpenZFS. What a file system of another kind makes of syncfs (FUSE nothing, say) is not known here.
    private static readonly HashSet<long> Trusted = [0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994, 0x2FC12FC1];

    private readonly Dictionary<ulong, (string Directory, SafeFileHandle Handle)> _open = [];

    /// <summary>False for a file that must be synced by itself: its file system may not tell what failed.</summary>
    public static bool Covers(SafeFileHandle file) =>
        Environment.OSVersion.Version >= TellsOfFailures && DataFiles.FileSystemOf(file) is { } kind && Trusted.Contains(kind);

    /// <summary>Has the file system of a directory synced in the end. It is there, and nothing that counts was written there yet.</summary>
    public void Watch(string directory)
    {
        var device = LocalFiles.Identity(directory)?.Device ?? throw new DirectoryNotFoundException($"{directory} is missing");
        if (!_open.ContainsKey(device))
        {
            _open.Add(device, (directory, DataFiles.OpenDirectory(directory)));
        }
    }

    /// <summary>Syncs all watched file systems.</summary>
    /// <exception cref="IOException">Something that was written did not reach a disk.</exception>
    public void Sync()
    {
        foreach (var (directory, handle) in _open.Values)
        {
            DataFiles.SyncFileSystem(handle, directory);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, handle) in _open.Values)
        {
            handle.Dispose();
        }
    }
}
