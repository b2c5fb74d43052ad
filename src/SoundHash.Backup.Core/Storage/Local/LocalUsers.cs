using System.Runtime.InteropServices;

namespace SoundHash.Backup.Storage.Local;

/// <summary>Users and groups of this machine by number, and who we are.</summary>
internal static partial class LocalUsers
{
    /// <summary>The user that we act as.</summary>
    public static uint Effective => EffectiveUser();

    /// <summary>The name of a user; null when it has none. Not for several threads at once, as getpwuid(3).</summary>
    public static string? NameOf(uint user) => First(UserEntry(user));

    /// <summary>The name of a group; null when it has none.</summary>
    public static string? GroupName(uint group) => First(GroupEntry(group));

    // The name is the first member of both structures.
    private static string? First(nint entry) => entry == 0 ? null : Marshal.PtrToStringUTF8(Marshal.ReadIntPtr(entry));

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "getpwuid")]
    private static partial nint UserEntry(uint user);

    [LibraryImport("libc", EntryPoint = "getgrgid")]
    private static partial nint GroupEntry(uint group);
}
