using System.Runtime.CompilerServices;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Storage.Local;

/// <summary>
/// A store in a directory of this machine. Files are 0600 in directories 0700, or 0640 and 0750 for a group.
/// Atomicity: temporary file in the same directory, fsync, link(2) or rename(2), fsync of the directory.
/// </summary>
public sealed class LocalObjectStore : IObjectStore
{
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerDirectory = OwnerFile | UnixFileMode.UserExecute;

    private readonly string _root;
    private readonly UnixFileMode _fileMode;
    private readonly UnixFileMode _directoryMode;
    private readonly uint? _group;

    /// <summary>Opens a store; the directory is made by the first write.</summary>
    /// <param name="root">Absolute path of the store's directory.</param>
    /// <param name="group">A group that may read (0640 and 0750), or null.</param>
    /// <param name="name">The store's name in messages.</param>
    /// <exception cref="BackupException">The group does not exist.</exception>
    public LocalObjectStore(string root, string? group = null, string name = "local")
    {
        _root = Path.GetFullPath(root);
        Name = name;
        _group = group is null ? null : LocalFiles.GroupId(group);
        var groupReadable = group is not null;
        _fileMode = groupReadable ? OwnerFile | UnixFileMode.GroupRead : OwnerFile;
        _directoryMode = groupReadable ? OwnerDirectory | UnixFileMode.GroupRead | UnixFileMode.GroupExecute : OwnerDirectory;
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>The store's directory.</summary>
    public string Root => _root;

    /// <summary>Makes the store's directory with its own mode and group, before anybody makes another one below it.</summary>
    /// <exception cref="StorageException">It can't be made.</exception>
    public void MakeRoot()
    {
        try
        {
            MakeDirectory(_root);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("make", "the directory", e);
        }
    }

    /// <inheritdoc/>
    public StoreCapabilities Capabilities { get; } = new(ConditionalCreate: true);

    /// <inheritdoc/>
    public Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var path = PathOf(key);
        try
        {
            MakeDirectory(Path.GetDirectoryName(path)!);
            return Task.FromResult<ObjectWriter>(new LocalObjectWriter(this, key, new AtomicFile(path, mode, _fileMode, _group)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("write", key, e);
        }
    }

    /// <inheritdoc/>
    public Task<Stream> OpenReadAsync(string key, long offset, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        try
        {
            var file = new FileStream(PathOf(key), new FileStreamOptions
            {
                Access = FileAccess.Read,
                Share = FileShare.ReadWrite | FileShare.Delete,
                BufferSize = 0,
                Options = FileOptions.SequentialScan,
            });
            file.Seek(offset, SeekOrigin.Begin);
            return Task.FromResult<Stream>(file);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ObjectMissingException(Name, key);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("read", key, e);
        }
    }

    /// <inheritdoc/>
    public Task<ObjectInfo?> StatAsync(string key, CancellationToken cancel)
    {
        var path = PathOf(key);
        try
        {
            // Unlike File.Exists this tells "not there" from "not allowed to look".
            _ = File.GetAttributes(path);
            return Task.FromResult<ObjectInfo?>(Describe(key, new FileInfo(path)));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return Task.FromResult<ObjectInfo?>(null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("read", key, e);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        var start = StartOf(prefix);
        if (!Directory.Exists(start))
        {
            // A root that can't be looked into must not pass for an empty one.
            CheckReadable(start);
            yield break;
        }

        foreach (var file in Enumerate(start).Where(static f => !IsTemporary(f)))
        {
            cancel.ThrowIfCancellationRequested();
            var key = Path.GetRelativePath(_root, file.FullName);
            if (key.StartsWith(prefix, StringComparison.Ordinal) && ObjectKey.IsValid(key) && file.Exists)
            {
                yield return Describe(key, file);
            }
        }

        await Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancel)
    {
        var path = PathOf(key);
        try
        {
            if (File.Exists(path))
            {
                File.Delete(path);
                LocalFiles.SyncDirectory(Path.GetDirectoryName(path)!);
            }

            RemoveEmptyParents(Path.GetDirectoryName(path)!);
            return Task.CompletedTask;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("delete", key, e);
        }
    }

    /// <inheritdoc/>
    public Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel)
    {
        var start = StartOf(prefix);
        if (Directory.Exists(start))
        {
            foreach (var file in Enumerate(start).Where(f => IsTemporary(f) && f.LastWriteTimeUtc < olderThan.UtcDateTime))
            {
                file.Delete();
                RemoveEmptyParents(file.DirectoryName!);
            }

            RemoveEmptyParents(start);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task<long?> FreeBytesAsync(CancellationToken cancel)
    {
        var existing = _root;
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent)
        {
            existing = parent;
        }

        try
        {
            return Task.FromResult<long?>(new DriveInfo(existing).AvailableFreeSpace);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Task.FromResult<long?>(null);
        }
    }

    internal StorageException Failed(string verb, string key, Exception cause) => new(
        $"can't {verb} {key} in store {Name} ({_root}): {cause.Message}",
        "check the directory's owner, mode and free space: ls -ld and df on the path above",
        cause);

    private static ObjectInfo Describe(string key, FileInfo file) =>
        new(key, file.Length, new DateTimeOffset(file.LastWriteTimeUtc, TimeSpan.Zero));

    private List<FileInfo> Enumerate(string start)
    {
        var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = false };
        try
        {
            return new DirectoryInfo(start).EnumerateFiles("*", options).ToList();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("list", start, e);
        }
    }

    private void CheckReadable(string path)
    {
        for (var parent = path; parent is not null; parent = Path.GetDirectoryName(parent))
        {
            if (Directory.Exists(parent))
            {
                return;
            }

            if (File.Exists(parent))
            {
                throw new StorageException($"{parent} is a file where store {Name} needs a directory", "correct BACKUP_DIR");
            }
        }
    }

    private static bool IsTemporary(FileInfo file) => file.Name.StartsWith(AtomicFile.TemporaryPrefix, StringComparison.Ordinal);

    // The deepest folder that holds everything with the prefix.
    private string StartOf(string prefix) =>
        prefix.Contains('/', StringComparison.Ordinal) ? PathOf(prefix[..prefix.LastIndexOf('/')]) : _root;

    private string PathOf(string key) => Path.Combine(_root, ObjectKey.Check(key));

    private void MakeDirectory(string path)
    {
        if (Directory.Exists(path))
        {
            return;
        }

        var parent = Path.GetDirectoryName(path)!;
        MakeDirectory(parent);
        Directory.CreateDirectory(path, _directoryMode);
        LocalFiles.Protect(path, _directoryMode, _group);
        LocalFiles.SyncDirectory(parent);
    }

    private void RemoveEmptyParents(string path)
    {
        // A concurrent writer may fill a directory between look and removal: then the removal fails, as it should.
        for (; path.Length > _root.Length && Directory.Exists(path) && !Directory.EnumerateFileSystemEntries(path).Any();
             path = Path.GetDirectoryName(path)!)
        {
            try
            {
                Directory.Delete(path);
            }
            catch (IOException)
            {
                return;
            }
        }
    }
}
