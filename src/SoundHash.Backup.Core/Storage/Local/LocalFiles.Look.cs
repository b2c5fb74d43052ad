using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SoundHash.Backup.Storage.Local;

/// <content>What stands at a path, by statx(2), whose structure is the same on all platforms.</content>
internal static partial class LocalFiles
{
    /// <summary>True when an open file is the one that a path names now.</summary>
    public static bool IsSameFile(SafeFileHandle file, string path) =>
        Identity(path) is { } named && named == Identity(file, path);

    /// <summary>Device and inode of a file; null when there is none.</summary>
    public static (ulong Device, ulong Inode)? Identity(string path) => Stat(path) is { } found ? (found.Device, found.Inode) : null;

    private static (ulong Device, ulong Inode) Identity(SafeFileHandle file, string path)
    {
        Span<byte> found = stackalloc byte[256];
        Look(file, path, found);
        return (MemoryMarshal.Read<ulong>(found[136..]), MemoryMarshal.Read<ulong>(found[32..]));
    }

    private static FileKind KindOf(SafeFileHandle file, string path)
    {
        Span<byte> found = stackalloc byte[256];
        Look(file, path, found);
        return KindOf(MemoryMarshal.Read<ushort>(found[28..]));
    }

    // Not by its path in /proc, which may not be there.
    private static void Look(SafeFileHandle file, string path, Span<byte> found)
    {
        const uint Basic = 0x7FF;
        const int OfHandle = 0x1000; // AT_EMPTY_PATH
        if (StatxOf(file, string.Empty, OfHandle, Basic, ref found[0]) != 0)
        {
            throw Failed("look at", path);
        }
    }

    private static FileKind KindOf(ushort mode) => (mode & 0xF000) switch
    {
        0x8000 => FileKind.File,
        0x4000 => FileKind.Directory,
        0xA000 => FileKind.Link,
        _ => FileKind.Other,
    };

    /// <summary>
    /// Looks at a file by statx(2), whose structure is the same on all platforms; null when there is none, which is no exception
    /// here, since it is the usual answer of a store that is asked before it is written to.
    /// </summary>
    /// <exception cref="IOException">It can't be looked at.</exception>
    public static FileStatus? Stat(string path)
    {
        const uint Basic = 0x7FF;
        Span<byte> found = stackalloc byte[256];
        return ErrorOf(Statx(CurrentDirectory, path, 0, Basic, ref found[0])) switch
        {
            0 => new FileStatus(
                MemoryMarshal.Read<ulong>(found[136..]),
                MemoryMarshal.Read<ulong>(found[32..]),
                MemoryMarshal.Read<long>(found[40..]),
                DateTimeOffset.FromUnixTimeSeconds(MemoryMarshal.Read<long>(found[112..]))
                    .AddTicks(MemoryMarshal.Read<int>(found[120..]) / TimeSpan.NanosecondsPerTick)),
            Missing or NoDirectory => null,
            var error => throw Failed("look at", path, error),
        };
    }

    /// <summary>What stands at a path, a link followed or not; null when there is nothing.</summary>
    /// <exception cref="IOException">It can't be looked at.</exception>
    public static FoundFile? Look(string path, bool follow)
    {
        const uint Basic = 0x7FF;
        const int KeepLinks = 0x100; // AT_SYMLINK_NOFOLLOW
        Span<byte> found = stackalloc byte[256];
        var error = ErrorOf(Statx(CurrentDirectory, path, follow ? 0 : KeepLinks, Basic, ref found[0]));
        if (error is Missing or NoDirectory or NoLoops)
        {
            return null;
        }

        // struct statx: stx_nlink at 16, stx_uid at 20, stx_gid at 24, stx_mode at 28, stx_ino at 32, stx_size at 40, stx_mtime at 112, stx_dev at 136.
        var mode = error == 0 ? MemoryMarshal.Read<ushort>(found[28..]) : throw Failed("look at", path, error);
        return new FoundFile(
            KindOf(mode),
            (UnixFileMode)(mode & 0x1FF),
            MemoryMarshal.Read<ulong>(found[136..]),
            MemoryMarshal.Read<ulong>(found[32..]),
            MemoryMarshal.Read<long>(found[40..]),
            DateTimeOffset.FromUnixTimeSeconds(MemoryMarshal.Read<long>(found[112..]))
                .AddTicks(MemoryMarshal.Read<int>(found[120..]) / TimeSpan.NanosecondsPerTick),
            MemoryMarshal.Read<uint>(found[20..]),
            MemoryMarshal.Read<uint>(found[24..]),
            MemoryMarshal.Read<uint>(found[16..]));
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatxOf(SafeFileHandle file, string path, int flags, uint mask, ref byte found);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, ref byte found);
}

/// <summary>What statx(2) says of a file.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct FileStatus(ulong Device, ulong Inode, long Size, DateTimeOffset Modified);

/// <summary>What stands at a path.</summary>
internal enum FileKind
{
    File,
    Directory,
    Link,
    Other,
}

/// <summary>What stands at a path, as statx(2) says.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct FoundFile(
    FileKind Kind, UnixFileMode Mode, ulong Device, ulong Inode, long Size, DateTimeOffset Modified, uint User, uint Group, uint Names);
