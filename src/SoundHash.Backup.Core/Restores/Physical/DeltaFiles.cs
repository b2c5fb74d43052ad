using System.IO.Hashing;
using System.Runtime.ExceptionServices;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Takes out of a data directory what does not belong to a set, and finds what need not be written again: files of the same size
/// and content, and of one name alone: a second one, of a hard-linked copy say, would be written through. Links are never followed
/// but for pg_wal and the tablespaces'.
/// </summary>
/// <param name="root">The data directory.</param>
/// <param name="contents">The set's contents.</param>
/// <param name="tablespaces">Where its tablespaces go.</param>
/// <param name="wal">Files of pg_wal that are left there, by name.</param>
internal sealed class DeltaFiles(
    string root, PhysicalContents contents, IReadOnlyList<TablespaceRecord> tablespaces, IReadOnlyDictionary<string, string> wal)
{
    private const string Wal = "pg_wal";
    private readonly Dictionary<string, FileRecord> _files = contents.Files.ToDictionary(static f => f.Path);
    private readonly HashSet<string> _directories = contents.Directories.ToHashSet();
    private readonly List<FileRecord> _candidates = [];

    /// <summary>How many files and links were removed.</summary>
    public int Removed { get; private set; }

    /// <summary>Removes what does not belong there, and returns the paths of files that are as they should be.</summary>
    public IReadOnlySet<string> Clean(int jobs, CancellationToken cancel)
    {
        Visit(root, string.Empty);
        var kept = new HashSet<string>();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancel };
        ForEach(parallel, file =>
        {
            var path = Path.Combine(root, file.Path);
            if (IsSame(path, file, cancel))
            {
                lock (kept)
                {
                    kept.Add(file.Path);
                }
            }
            else
            {
                File.Delete(path);
            }
        });
        return kept;
    }

    // As one error, and not as a collection of them.
    private void ForEach(ParallelOptions parallel, Action<FileRecord> action)
    {
        try
        {
            Parallel.ForEach(_candidates, parallel, action);
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
    }

    private void Visit(string directory, string path)
    {
        Open(directory);
        foreach (var entry in Directory.GetFileSystemEntries(directory))
        {
            var name = Path.GetFileName(entry);
            var inner = path.Length == 0 ? name : $"{path}/{name}";
            var found = LocalFiles.Look(entry, follow: false);
            if (inner == RestoreMark.File)
            {
                continue;
            }

            if (inner == Wal && Directory.Exists(entry))
            {
                VisitWal(entry);
            }
            else if (Space(inner) is { } space && TablespacePlan.IsInPlace(root, space))
            {
                VisitTablespace(entry, inner);
            }
            else if (found is { Kind: FileKind.Directory } && Space(inner) is null && _directories.Contains(inner))
            {
                Visit(entry, inner);
            }
            else if (found is { Kind: FileKind.File, Names: 1 } && inner != ControlFile.RelativePath && _files.TryGetValue(inner, out var file))
            {
                _candidates.Add(file);
            }
            else
            {
                Remove(entry, found?.Kind);
            }
        }
    }

    private TablespaceRecord? Space(string path) =>
        path.StartsWith("pg_tblspc/", StringComparison.Ordinal) ? tablespaces.FirstOrDefault(t => path == $"pg_tblspc/{t.Oid}") : null;

    // Folders of other clusters may be beside ours, after pg_upgrade say.
    private void VisitTablespace(string link, string path)
    {
        foreach (var folder in _directories.Where(d => d.StartsWith($"{path}/", StringComparison.Ordinal) && d.Count('/') == 2))
        {
            var entry = Path.Combine(link, Path.GetFileName(folder));
            if (LocalFiles.Look(entry, follow: false) is { } found)
            {
                if (found.Kind == FileKind.Directory)
                {
                    Visit(entry, folder);
                }
                else
                {
                    Remove(entry, found.Kind);
                }
            }
        }
    }

    private void VisitWal(string directory)
    {
        Open(directory);
        foreach (var entry in Directory.GetFileSystemEntries(directory).Where(e => !wal.ContainsKey(Path.GetFileName(e))))
        {
            if (LocalFiles.Look(entry, follow: false)?.Kind is FileKind.Directory && _directories.Contains($"{Wal}/{Path.GetFileName(entry)}"))
            {
                Open(entry);
                foreach (var file in Directory.GetFileSystemEntries(entry))
                {
                    Remove(file, LocalFiles.Look(file, follow: false)?.Kind);
                }
            }
            else
            {
                Remove(entry, LocalFiles.Look(entry, follow: false)?.Kind);
            }
        }
    }

    private void Remove(string path, FileKind? kind)
    {
        Removed++;
        if (kind == FileKind.Directory)
        {
            OpenAll(path);
            Directory.Delete(path, recursive: true);
        }
        else
        {
            File.Delete(path);
        }
    }

    private static void OpenAll(string directory)
    {
        Open(directory);
        foreach (var entry in Directory.GetFileSystemEntries(directory).Where(static e => LocalFiles.Look(e, follow: false) is { Kind: FileKind.Directory }))
        {
            OpenAll(entry);
        }
    }

    // One that its owner has no right to write is emptied like any other.
    private static void Open(string directory)
    {
        const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        if (File.GetUnixFileMode(directory) is var mode && (mode & Own) != Own)
        {
            File.SetUnixFileMode(directory, mode | Own);
        }
    }

    private static bool IsSame(string path, FileRecord file, CancellationToken cancel)
    {
        try
        {
            return HasContent(path, file, cancel);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Of a restore by root that was killed before it gave the file away: the directory is ours, so that we may remove it. Or
            // on a bad place of the disk: it is written anew.
            return false;
        }
    }

    private static bool HasContent(string path, FileRecord file, CancellationToken cancel)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        if (stream.Length != file.Size)
        {
            return false;
        }

        DataFiles.DropCached(stream.SafeFileHandle, path);
        var hash = new XxHash128();
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(StreamCopy.ChunkBytes);
        try
        {
            int read;
            while ((read = stream.Read(buffer)) > 0)
            {
                cancel.ThrowIfCancellationRequested();
                hash.Append(buffer.AsSpan(0, read));
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }

        return Convert.ToHexStringLower(hash.GetCurrentHash()) == file.XxHash128;
    }
}
