using System.Runtime.CompilerServices;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Storage.Local;

/// <summary>
/// A store in a directory of this machine. Files are 0600 in directories 0700, or 0640 and 0750 for a group;
/// what root makes belongs to the owner of the folder that it is made in.
/// Atomicity: temporary file in the same directory, fsync, link(2) or rename(2), fsync of the directory.
/// </summary>
public sealed class LocalObjectStore : IObjectStore
{
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerDirectory = OwnerFile | UnixFileMode.UserExecute;

    private readonly string _root;
    private readonly UnixFileMode _fileMode;
    private readonly StoreFolders _folders;
    private readonly uint? _group;
    private readonly StorePresence _presence;

    /// <summary>Opens a store; the directory is made by the first write.</summary>
    /// <param name="root">Absolute path of the store's directory.</param>
    /// <param name="group">A group that may read (0640 and 0750), or null.</param>
    /// <param name="name">The store's name in messages.</param>
    /// <param name="existing">
    /// A directory at or above the root that must be there, else every write and list fails: one that is gone is a disk that is not
    /// mounted. Null where the root may be made. Below a mount point of /etc/fstab without its disk nothing is made or listed, either.
    /// </param>
    /// <exception cref="BackupException">The group does not exist.</exception>
    public LocalObjectStore(string root, string? group = null, string name = "local", string? existing = null)
    {
        _root = Path.GetFullPath(root);
        _presence = new StorePresence(_root, name, existing);
        Name = name;
        _group = group is null ? null : LocalFiles.GroupId(group);
        var groupReadable = group is not null;
        _fileMode = groupReadable ? OwnerFile | UnixFileMode.GroupRead : OwnerFile;
        var directoryMode = groupReadable ? OwnerDirectory | UnixFileMode.GroupRead | UnixFileMode.GroupExecute : OwnerDirectory;
        _folders = new StoreFolders(_root, name, directoryMode, _group);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>Makes the store's directory with its own mode and group, before anybody makes another one below it.</summary>
    /// <exception cref="StorageException">It can't be made.</exception>
    public void MakeRoot()
    {
        _presence.Ensure();
        try
        {
            _folders.Make(_root);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("make", "the directory", e);
        }
    }

    /// <inheritdoc/>
    public Task<ObjectWriter> OpenWriteAsync(string key, WriteMode mode, ObjectAttributes attributes, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var path = PathOf(key);
        try
        {
            return Task.FromResult<ObjectWriter>(new LocalObjectWriter(this, key, Begin(path, mode)));
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
        _presence.EnsureMounted();
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
            return Task.FromResult<Stream>(new FileReadStage(file, e => Failed("read", key, e)));
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
        _presence.EnsureMounted();
        try
        {
            return Task.FromResult(LocalFiles.Stat(PathOf(key)) is { } found ? new ObjectInfo(key, found.Size, found.Modified) : null);
        }
        catch (IOException e)
        {
            throw Failed("read", key, e);
        }
    }

    /// <inheritdoc/>
    public async Task<ObjectInfo?> ConfirmAsync(string key, CancellationToken cancel)
    {
        if (await StatAsync(key, cancel) is not { } found)
        {
            return null;
        }

        var path = PathOf(key);
        try
        {
            LocalFiles.SyncFile(path);
            LocalFiles.SyncDirectory(Path.GetDirectoryName(path)!);
            return found;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("sync", key, e);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        foreach (var file in Enumerate(StartOf(prefix)).Where(static f => !IsTemporary(f)))
        {
            cancel.ThrowIfCancellationRequested();
            var key = Path.GetRelativePath(_root, file.FullName);
            if (key.StartsWith(prefix, StringComparison.Ordinal) && ObjectKey.IsValid(key) && Describe(key, file) is { } info)
            {
                yield return info;
            }
        }

        await Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancel)
    {
        var path = PathOf(key);
        var directory = Path.GetDirectoryName(path)!;
        try
        {
            if (Describe(key, new FileInfo(path)) is not null)
            {
                File.Delete(path);
                LocalFiles.SyncDirectory(directory);
            }

            _folders.RemoveEmpty(directory);
        }
        catch (DirectoryNotFoundException)
        {
            // Somebody else removed the last object beside it, and then the directory.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("delete", key, e);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task RetainAsync(string key, ObjectAttributes attributes, CancellationToken cancel) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task RemoveAbandonedWritesAsync(string prefix, DateTimeOffset olderThan, CancellationToken cancel)
    {
        var start = StartOf(prefix);
        foreach (var file in Enumerate(start).Where(f => IsTemporary(f) && f.LastWriteTimeUtc < olderThan.UtcDateTime))
        {
            try
            {
                file.Delete();
            }
            catch (DirectoryNotFoundException)
            {
                continue;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Failed("delete", Path.GetRelativePath(_root, file.FullName), e);
            }

            _folders.RemoveEmpty(file.DirectoryName!);
        }

        _folders.RemoveEmpty(start);
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

    // Null when there is no such file, and an error when that can't be told: File.Exists says false for both.
    private ObjectInfo? Describe(string key, FileInfo file)
    {
        try
        {
            if (file.Attributes.HasFlag(FileAttributes.ReparsePoint))
            {
                // Of a symbolic link, .NET tells the link's own size and time.
                return LocalFiles.Stat(file.FullName) is { } target ? new ObjectInfo(key, target.Size, target.Modified) : null;
            }

            return new ObjectInfo(key, file.Length, new DateTimeOffset(file.LastWriteTimeUtc, TimeSpan.Zero));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("read", key, e);
        }
    }

    private List<FileInfo> Enumerate(string start)
    {
        _presence.Ensure();
        try
        {
            return _folders.Files(start);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("list", start, e);
        }
    }

    private static bool IsTemporary(FileInfo file) => file.Name.StartsWith(AtomicFile.TemporaryPrefix, StringComparison.Ordinal);

    // The deepest folder that holds everything with the prefix.
    private string StartOf(string prefix) =>
        prefix.Contains('/', StringComparison.Ordinal) ? PathOf(prefix[..prefix.LastIndexOf('/')]) : _root;

    private string PathOf(string key) => Path.Combine(_root, ObjectKey.Check(key));

    private AtomicFile Begin(string path, WriteMode mode)
    {
        _presence.Ensure();
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                _folders.Make(Path.GetDirectoryName(path)!);
                return new AtomicFile(path, mode, _fileMode, _group, ofFolder: true);
            }
            catch (Exception e) when ((e is FileNotFoundException or DirectoryNotFoundException) && attempt < 100)
            {
                // The directory was empty, and went with the last object that somebody deleted there.
            }
        }
    }
}
