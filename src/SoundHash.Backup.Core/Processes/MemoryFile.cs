using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SoundHash.Backup.Processes;

/// <summary>
/// An anonymous file in memory (memfd_create(2)) that a child program can open by a path and seek in: nothing of it
/// ever reaches a disk (but for swap), and it is gone with the process.
/// </summary>
internal sealed class MemoryFile : IDisposable
{
    private const uint CloseOnExec = 1;

    private readonly SafeFileHandle _handle;

    public MemoryFile(string name)
    {
        _handle = Posix.CreateMemoryFile(name, CloseOnExec);
        if (_handle.IsInvalid)
        {
            throw new IOException($"can't make a file in memory: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        Stream = new FileStream(_handle, FileAccess.ReadWrite, bufferSize: 0);
    }

    /// <summary>For writing.</summary>
    public FileStream Stream { get; }

    /// <summary>A path under which children of the same user can open it, each with a position of its own.</summary>
    public string Path => string.Create(CultureInfo.InvariantCulture, $"/proc/{Environment.ProcessId}/fd/{_handle.DangerousGetHandle()}");

    public void Dispose()
    {
        Stream.Dispose();
        _handle.Dispose();
    }
}
