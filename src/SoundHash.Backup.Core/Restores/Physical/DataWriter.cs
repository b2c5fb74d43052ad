using Microsoft.Win32.SafeHandles;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Writes a data directory: every file and directory new, for its owner alone, and never through a link that was there. Nothing is
/// synced one by one where <see cref="FileSystemSync"/> does; who writes all of it syncs at the end.
/// </summary>
/// <param name="root">The data directory.</param>
/// <param name="owner">Whom everything is given to, or null.</param>
internal sealed class DataWriter(string root, DataOwner? owner)
{
    private const UnixFileMode FileMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode DirectoryMode = FileMode | UnixFileMode.UserExecute;

    /// <summary>The data directory.</summary>
    public string Root => root;

    /// <summary>The absolute path of what is in it.</summary>
    public string PathOf(string relative) => Path.Combine(root, relative);

    /// <summary>Makes a file; writes go straight to the kernel, and on to the disk early.</summary>
    public DataFileStream Create(string path) => new(CreateNew(path));

    private SafeFileHandle CreateNew(string path)
    {
        var handle = DataFiles.CreateNew(PathOf(path), FileMode);
        try
        {
            if (owner is { } to)
            {
                DataFiles.GiveTo(handle, path, to);
            }

            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Makes a small file with its content.</summary>
    public void Write(string path, ReadOnlySpan<byte> content, bool durable = false)
    {
        using var file = Create(path);
        file.Write(content);
        if (durable)
        {
            file.Sync();
        }
    }

    /// <summary>Makes a directory, or takes an empty one that is there.</summary>
    public void MakeDirectory(string path, UnixFileMode mode = DirectoryMode)
    {
        var full = PathOf(path);
        LocalFiles.MakeDirectory(full, mode);
        File.SetUnixFileMode(full, mode);
        if (owner is { } to)
        {
            DataFiles.GiveTo(full, to);
        }
    }

    /// <summary>Makes a file that was there before like one of ours.</summary>
    public void Take(string path) => DataFiles.Take(PathOf(path), FileMode, owner);

    /// <summary>Makes a symbolic link.</summary>
    public void Link(string path, string target)
    {
        var full = PathOf(path);
        File.CreateSymbolicLink(full, target);
        if (owner is { } to)
        {
            DataFiles.GiveTo(full, to);
        }
    }
}
