using System.Globalization;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>Whether a server works in a data directory.</summary>
/// <param name="Process">A process that does, or null.</param>
/// <param name="Doubt">Why a postmaster.pid can't be taken for one that a dead server left; null where it can, or where there is none.</param>
internal sealed record ServerSign(int? Process, string? Doubt)
{
    /// <summary>The file that a running server has in its data directory.</summary>
    public const string File = "postmaster.pid";

    // PROC_PID_INIT_INO of include/linux/proc_ns.h: from there the processes of every container are seen.
    private const string FirstNamespace = "pid:[4026531836]";

    private static readonly HashSet<string> Shared = new(StringComparer.OrdinalIgnoreCase)
    {
        "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "v9fs", "virtiofs", "ceph", "lustre", "glusterfs", "fuse", "fuseblk", "afs",
        "ocfs2", "gfs", "gfs2", "gpfs", "beegfs", "vboxsf", "coda", "ncp", "pvfs2", "prl_fs",
    };

    /// <summary>Looks for one.</summary>
    public static ServerSign Look(string directory)
    {
        var (server, unseen) = ServerIn(directory);
        return new ServerSign(server, server is null ? DoubtOf(directory, unseen) : null);
    }

    /// <summary>True when a process works in a directory, and is PostgreSQL's.</summary>
    public static bool WorksIn(int pid, string directory) =>
        LocalFiles.Identity(directory) is { } identity && WorkingDirectory($"/proc/{pid}") == identity && IsServer($"/proc/{pid}");

    /// <summary>PostgreSQL's processes here, with the directory that each works in where that can be seen.</summary>
    public static IEnumerable<(int Process, (ulong Device, ulong Inode)? Place)> Servers()
    {
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(process), NumberStyles.None, CultureInfo.InvariantCulture, out var pid) && IsServer(process))
            {
                yield return (pid, WorkingDirectory(process));
            }
        }
    }

    // PostgreSQL's processes work in their data directory, also those that a killed postmaster left. One in a container knows it
    // by another path, so that the directory itself is compared.
    private static (int? Server, bool Unseen) ServerIn(string path)
    {
        var identity = LocalFiles.Identity(path);
        var unseen = false;
        foreach (var (pid, works) in Servers())
        {
            if (identity is not null && works == identity)
            {
                return (pid, false);
            }

            unseen |= IsHidden(pid);
        }

        return (null, unseen);
    }

    // A server writes its number into postmaster.pid, as it is called where the server runs.
    private static string? DoubtOf(string directory, bool unseen)
    {
        var path = Path.Combine(directory, File);
        if (LocalFiles.Look(path, follow: false) is null)
        {
            return null;
        }

        var pid = Read(() => System.IO.File.ReadLines(path).FirstOrDefault())?.TrimStart('-');
        var what = $"{File} is there, of process {pid ?? "(unreadable)"}, and ";
        if (Shared.Contains(FormatOf(directory)))
        {
            return $"{what}on a file system of kind {FormatOf(directory)} that process may be on another machine";
        }

        if (Read(() => new FileInfo("/proc/self/ns/pid").LinkTarget) != FirstNamespace)
        {
            return $"{what}from inside a container processes outside of it can't be seen";
        }

        // With hidepid /proc has only what is our own.
        return unseen || !Directory.Exists("/proc/1") ? $"{what}not all processes can be looked at by this user" : null;
    }

    private static string FormatOf(string directory) => Read(() => new DriveInfo(directory).DriveFormat) ?? string.Empty;

    private static (ulong Device, ulong Inode)? WorkingDirectory(string process) => Read(() => LocalFiles.Identity($"{process}/cwd"));

    // Of another user. One that has ended works nowhere.
    private static bool IsHidden(int pid)
    {
        try
        {
            _ = LocalFiles.Identity($"/proc/{pid}/cwd");
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static bool IsServer(string process) =>
        Read(() => System.IO.File.ReadAllText($"{process}/comm"))?.StartsWith("postgres", StringComparison.Ordinal) == true;

    // Of another user, or gone.
    private static T? Read<T>(Func<T?> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }
}
