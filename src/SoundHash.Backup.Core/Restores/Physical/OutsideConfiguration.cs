using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Configuration from outside the data directory: back to where it was when that is Debian's own place for it, it is free, and the
/// data directory is back in its place too; else into a folder of the data directory. Nothing is ever overwritten. Other
/// places are left alone, since a set of somebody else's could name any file of the machine.
/// </summary>
/// <param name="writer">Writes.</param>
/// <param name="isInPlace">The data directory is where it was.</param>
internal sealed class OutsideConfiguration(DataWriter writer, bool isInPlace)
{
    /// <summary>The folder in the data directory.</summary>
    public const string Folder = "outside-config";

    private const string Prefix = "outside/";
    private const string OfDebian = "/etc/postgresql/";

    // As pg_createcluster makes them, for the programs of Debian that look for clusters.
    private const UnixFileMode DebianDirectory = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private readonly List<(string From, string To)> _placed = [];

    /// <summary>Each file's old path, and where it is now.</summary>
    public IReadOnlyList<(string From, string To)> Placed => _placed;

    /// <summary>True for a name in the last archive that is of such a file.</summary>
    public static bool Is(string name) => name.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>Makes the file of a name in the last archive.</summary>
    public Stream Create(string name)
    {
        var from = $"/{name[Prefix.Length..]}";
        var file = TryInPlace(from) ?? Create(Path.Combine(writer.PathOf(Folder), from[1..]), directory => writer.MakeDirectory(directory));
        _placed.Add((from, file.Name));
        return file.Stream;
    }

    private (string Name, Stream Stream)? TryInPlace(string path)
    {
        if (!isInPlace || !path.StartsWith(OfDebian, StringComparison.Ordinal) || LocalFiles.Look(path, follow: false) is not null)
        {
            return null;
        }

        try
        {
            return Create(path, directory => writer.MakeDirectory(directory, DebianDirectory));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Only root may write there.
            return null;
        }
    }

    private (string Name, Stream Stream) Create(string path, Action<string> makeDirectory)
    {
        MakeParents(Path.GetDirectoryName(path)!, makeDirectory);
        return (path, writer.Create(path));
    }

    private static void MakeParents(string directory, Action<string> make)
    {
        if (!Directory.Exists(directory))
        {
            MakeParents(Path.GetDirectoryName(directory)!, make);
            make(directory);
        }
    }
}
