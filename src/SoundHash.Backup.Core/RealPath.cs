using System.Runtime.InteropServices;

namespace SoundHash.Backup;

/// <summary>Paths without symbolic links: two that lead to one place are the same then.</summary>
internal static partial class RealPath
{
    /// <summary>True when a path is a directory, or inside it; neither with symbolic links.</summary>
    public static bool IsWithin(string path, string directory) =>
        path == directory || path.StartsWith(directory == "/" ? directory : $"{directory}/", StringComparison.Ordinal);

    /// <summary>As <see cref="Of"/>, for an absolute path of which the last parts need not exist yet.</summary>
    public static string OfNew(string path)
    {
        var (existing, rest) = (path.Length > 1 ? path.TrimEnd('/') : path, string.Empty);
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent)
        {
            (existing, rest) = (parent, Path.Combine(Path.GetFileName(existing), rest));
        }

        return rest.Length == 0 ? Of(existing) : Path.Combine(Of(existing), rest.TrimEnd('/'));
    }

    /// <summary>A path without symbolic links; it must exist.</summary>
    public static string Of(string path)
    {
        var resolved = Resolve(path, 0);
        if (resolved == 0)
        {
            throw new IOException($"can't resolve {path}: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        try
        {
            return Marshal.PtrToStringUTF8(resolved)!;
        }
        finally
        {
            Free(resolved);
        }
    }

    [LibraryImport("libc", EntryPoint = "realpath", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint Resolve(string path, nint buffer);

    [LibraryImport("libc", EntryPoint = "free")]
    private static partial void Free(nint memory);
}
