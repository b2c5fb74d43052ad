using System.Runtime.InteropServices;

namespace SoundHash.Backup.Processes;

/// <summary>The few system calls that .NET does not offer, as thin imports from libc.</summary>
internal static partial class Posix
{
    public const int SignalTerminate = 15;
    public const int SignalKill = 9;

    private const int SignalPipe = 13;
    private const int SetPipeSize = 1031;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeHandle fd, int command, int argument);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint SetSignalHandler(int signal, nint handler);

    /// <summary>
    /// .NET ignores SIGPIPE, and what is ignored stays ignored in children: "yes | head" in a hook would go on for ever.
    /// What is caught instead is reset to its default by exec. It is caught by a function of libc that does nothing
    /// with the signal's number (abs), so that here a write to a closed pipe is an error as before.
    /// </summary>
    public static void CatchSigpipe() =>
        _ = SetSignalHandler(SignalPipe, NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "abs"));

    /// <summary>Asks for a pipe buffer of so many bytes. A refusal (the user's pipe quota) only costs speed.</summary>
    public static void TryEnlargePipe(SafeHandle pipe, int bytes) => _ = Fcntl(pipe, SetPipeSize, bytes);
}
