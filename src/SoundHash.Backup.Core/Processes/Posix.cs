using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SoundHash.Backup.Processes;

/// <summary>The few system calls that .NET does not offer, as thin imports from libc.</summary>
internal static partial class Posix
{
    public const int SignalTerminate = 15;
    public const int SignalKill = 9;

    private const int SignalPipe = 13;
    private const int SetPipeSize = 1031;
    private const int GetStatusFlags = 3;
    private const int SetStatusFlags = 4;
    private const int NonBlocking = 0x800;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle CreateMemoryFile(string name, uint flags);

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
    public static bool TryEnlargePipe(SafeHandle pipe, int bytes) => Fcntl(pipe, SetPipeSize, bytes) >= bytes;

    /// <summary>Lets reads of this end of a pipe return at once; the other end is not concerned.</summary>
    public static void SetNonBlocking(SafeHandle pipe) => _ = Fcntl(pipe, SetStatusFlags, Fcntl(pipe, GetStatusFlags, 0) | NonBlocking);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(SafeHandle file, Span<byte> buffer, nint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(SafeHandle file, ReadOnlySpan<byte> buffer, nint count);
}
