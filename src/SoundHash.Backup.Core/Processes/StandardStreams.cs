using System.Runtime.InteropServices;

namespace SoundHash.Backup.Processes;

/// <summary>stdin, stdout and stderr of this process.</summary>
public static partial class StandardStreams
{
    private const int ReadOnly = 0;
    private const int WriteOnly = 1;
    private const int GetDescriptorFlags = 1;

    /// <summary>
    /// Opens those that this process was started without (<c>&gt;&amp;-</c>): the next file of ours would get that number, and what
    /// is meant for people would be written into it. stdout then refuses to be written to, since a result that nobody gets is none;
    /// what goes to stderr is lost, as it was meant. Comes before anything that may open a file.
    /// </summary>
    public static void Complete()
    {
        foreach (var (descriptor, flags) in ((int, int)[])[(0, ReadOnly), (1, ReadOnly), (2, WriteOnly)])
        {
            if (Fcntl(descriptor, GetDescriptorFlags) < 0)
            {
                // The lowest number that is free, which is this one: those below it are open by now.
                _ = Open("/dev/null", flags);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "fcntl")]
    private static partial int Fcntl(int descriptor, int command);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
