using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Writes a file of a data directory, straight to the kernel, and has the kernel begin early to bring it to the disk: so that the
/// sync at the end of a restore does not wait for all of it.
/// </summary>
internal sealed partial class DataFileStream(SafeFileHandle file) : Stream
{
    private const long WritebackBytes = 8 * 1024 * 1024;
    private const uint WriteOut = 2; // SYNC_FILE_RANGE_WRITE, sync_file_range(2)

    // EINTR, EINVAL, ESPIPE, ENOSYS, EOPNOTSUPP: no failure to write.
    private static readonly HashSet<int> NotPossible = [4, 22, 29, 38, 95];

    private long _written;
    private long _begun;

    /// <summary>The file.</summary>
    public SafeFileHandle Handle => file;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => _written;

    public override long Position { get => _written; set => throw new NotSupportedException(); }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        RandomAccess.Write(file, buffer, _written);
        _written += buffer.Length;
        if (_written - _begun >= WritebackBytes)
        {
            // Only a beginning: it promises nothing.
            if (SyncFileRange(file, _begun, _written - _begun, WriteOut) != 0 && !NotPossible.Contains(Marshal.GetLastPInvokeError()))
            {
                throw new IOException($"can't write: {Marshal.GetLastPInvokeErrorMessage()}");
            }

            _begun = _written;
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Waits until all of it is on the disk.</summary>
    public void Sync() => RandomAccess.FlushToDisk(file);

    /// <summary>Nothing: every write has reached the kernel.</summary>
    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !file.IsClosed)
        {
            using (file)
            {
                if (!FileSystemSync.Covers(file))
                {
                    Sync();
                }
            }
        }

        base.Dispose(disposing);
    }

    [LibraryImport("libc", EntryPoint = "sync_file_range", SetLastError = true)]
    private static partial int SyncFileRange(SafeFileHandle fd, long offset, long bytes, uint flags);
}
