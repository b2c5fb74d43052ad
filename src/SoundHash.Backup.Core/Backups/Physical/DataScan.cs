using System.Globalization;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// Lists a data directory by PostgreSQL's own rules for a base backup (sendDir of src/backend/backup/basebackup.c; up to 14 in
/// src/backend/replication). Files come and go meanwhile: what vanished is no error, and what cannot be looked at is one.
/// </summary>
/// <param name="root">The data directory.</param>
/// <param name="tablespaceFolder">The only folder of a tablespace that is this cluster's: PG_15_202209061.</param>
/// <param name="tablespaceNames">Names by oid.</param>
/// <param name="log">For links that are followed.</param>
internal sealed class DataScan(string root, string tablespaceFolder, IReadOnlyDictionary<uint, string> tablespaceNames, ILogger log)
{
    // Kept as empty directories (excludeDirContents). pg_wal is one of them but for its own empty directories.
    private static readonly HashSet<string> EmptyDirectories =
        ["pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans"];

    private static readonly HashSet<string> LeftOut =
        ["postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label", "tablespace_map", "backup_manifest", "postmaster.pid", "postmaster.opts"];

    private readonly List<DataFile> _files = [];
    private readonly List<string> _directories = [];
    private readonly List<TablespaceRecord> _tablespaces = [];
    private readonly HashSet<(ulong Device, ulong Inode)> _above = [];
    private readonly HashSet<(ulong Device, ulong Inode)> _tablespaceRoots = [];

    /// <summary>Lists everything.</summary>
    /// <exception cref="BackupException">Something can't be read.</exception>
    public DataListing List()
    {
        try
        {
            FindTablespaces();
            Walk(root, string.Empty);
            return new DataListing(_files, _directories, _tablespaces);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Failed, $"can't list the data directory: {e.Message}", "run this as the user that PostgreSQL runs as", e);
        }
    }

    private void FindTablespaces()
    {
        foreach (var link in Entries(Path.Combine(root, "pg_tblspc")))
        {
            if (LocalFiles.Look(link, follow: false)?.Kind == FileKind.Link && LocalFiles.Look(link, follow: true) is { Kind: FileKind.Directory } found
                && uint.TryParse(Path.GetFileName(link), NumberStyles.None, CultureInfo.InvariantCulture, out var oid)
                && File.ResolveLinkTarget(link, returnFinalTarget: false) is { } location)
            {
                _tablespaces.Add(new TablespaceRecord(oid, tablespaceNames.GetValueOrDefault(oid, $"{oid}"), location.FullName));
                _tablespaceRoots.Add((found.Device, found.Inode));
            }
        }
    }

    private void Walk(string directory, string path)
    {
        if (LocalFiles.Look(directory, follow: true) is not { Kind: FileKind.Directory } self)
        {
            return;
        }

        if (!_above.Add((self.Device, self.Inode)))
        {
            log.Warning("{Path} leads back to a directory that it is in; it is left out", path);
            return;
        }

        if (path.Length > 0)
        {
            _directories.Add(path);
        }

        if (!EmptyDirectories.Contains(path))
        {
            Visit(directory, path);
        }

        _above.Remove((self.Device, self.Inode));
    }

    private void Visit(string directory, string path)
    {
        var entries = Entries(directory);
        var unlogged = IsDatabase(path) ? UnloggedNodes(entries) : [];
        foreach (var entry in entries)
        {
            var name = Path.GetFileName(entry);
            var inner = path.Length == 0 ? name : $"{path}/{name}";
            if (IsLeftOut(name, inner) || (IsDatabase(path) && RelationFile.IsTemporary(name)))
            {
                continue;
            }

            if (path == "pg_wal")
            {
                VisitWal(name, inner, entry);
                continue;
            }

            var relation = IsDatabase(path) || path == "global" ? RelationFile.TryParse(name) : null;
            if (relation is { } file && file.Fork != RelationFile.InitFork && unlogged.Contains(file.Node))
            {
                continue;
            }

            Take(entry, inner, relation);
        }
    }

    private void Take(string entry, string path, RelationFile? relation)
    {
        if (LocalFiles.Look(entry, follow: false) is not { } found)
        {
            EnsureReadableName(entry);
            return;
        }

        if (found.Kind == FileKind.Link)
        {
            if (LocalFiles.Look(entry, follow: true) is not { } target)
            {
                log.Warning("{Path} is a link to {Target}, which does not exist; it is left out", path, TargetOf(entry));
                return;
            }

            found = target;
            if (!path.StartsWith("pg_tblspc/", StringComparison.Ordinal) && path != "pg_wal")
            {
                log.Information("{Path} is a link to {Target}; what it points to is kept in its place", path, TargetOf(entry));
            }
        }

        switch (found.Kind)
        {
            case FileKind.File:
                _files.Add(new DataFile(path, entry, found.Size, found.Modified, found.Mode, relation));
                break;
            case FileKind.Directory when IsTablespaceLink(path, entry):
                TakeTablespace(entry, path);
                break;
            case FileKind.Directory when _tablespaceRoots.Contains((found.Device, found.Inode)):
                // A tablespace inside the data directory: it is kept where its link is.
                break;
            case FileKind.Directory:
                Walk(entry, path);
                break;
            default:
                log.Information("{Path} is neither a file nor a directory; it is left out", path);
                break;
        }
    }

    // Another cluster's folder may be beside ours, after pg_upgrade say.
    private void TakeTablespace(string entry, string path)
    {
        _directories.Add(path);
        Walk(Path.Combine(entry, tablespaceFolder), $"{path}/{tablespaceFolder}");
    }

    private static bool IsTablespaceLink(string path, string entry) =>
        path.StartsWith("pg_tblspc/", StringComparison.Ordinal) && path.Count('/') == 1
        && LocalFiles.Look(entry, follow: false)?.Kind == FileKind.Link
        && uint.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private void VisitWal(string name, string path, string entry)
    {
        if (name is "archive_status" or "summaries" && LocalFiles.Look(entry, follow: true)?.Kind == FileKind.Directory)
        {
            _directories.Add(path);
        }
    }

    private static bool IsLeftOut(string name, string path) =>
        LeftOut.Contains(name) || path == ControlFile.RelativePath
        || name.StartsWith("pgsql_tmp", StringComparison.Ordinal) || name.StartsWith("pg_internal.init", StringComparison.Ordinal);

    // base/OID, or pg_tblspc/OID/PG_…/OID: isDbDir of sendDir.
    private static bool IsDatabase(string path) => path.Split('/') is ["base", _] or ["pg_tblspc", _, _, _];

    private static HashSet<uint> UnloggedNodes(IEnumerable<string> entries) => entries.Select(static e => RelationFile.TryParse(Path.GetFileName(e)))
        .OfType<RelationFile>().Where(static r => r.Fork == RelationFile.InitFork).Select(static r => r.Node).ToHashSet();

    private static string TargetOf(string link) => new FileInfo(link).LinkTarget ?? "?";

    // Such a name can't be opened again by what it was decoded to.
    private static void EnsureReadableName(string entry)
    {
        if (entry.Contains('\uFFFD', StringComparison.Ordinal))
        {
            throw new IOException($"the name of {entry} is not UTF-8; rename that file, which is none of PostgreSQL's");
        }
    }

    // In one piece: the names of a directory are compared with each other.
    private static string[] Entries(string directory)
    {
        try
        {
            return Directory.GetFileSystemEntries(directory);
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
    }
}
