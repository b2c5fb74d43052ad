using System.Runtime.InteropServices;

namespace SoundHash.Backup.Processes;

/// <summary>The few system calls that .NET does not offer, as thin imports from libc.</summary>
internal static partial class Posix
{
    public const int SignalTerminate = 15;
    public const int SignalKill = 9;

    private const int SetPipeSize = 1031;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUserId();

    [LibraryImport("libc", EntryPoint = "getppid")]
    public static partial int ParentProcessId();

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeHandle fd, int command, int argument);

    /// <summary>Asks for a pipe buffer of so many bytes. A refusal (the user's pipe quota) only costs speed.</summary>
    public static void TryEnlargePipe(SafeHandle pipe, int bytes) => _ = Fcntl(pipe, SetPipeSize, bytes);
}
