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

    /// <summary>Makes the file of a name in the last archive, in the folder of the data directory.</summary>
    public Stream Create(string name)
    {
        var from = $"/{name[Prefix.Length..]}";
        var to = Path.Combine(writer.PathOf(Folder), from[1..]);
        MakeParents(Path.GetDirectoryName(to)!, directory => writer.MakeDirectory(directory));
        _placed.Add((from, to));
        return writer.Create(to);
    }

    /// <summary>Takes what may go there back to where it was, when all of it is checked: each file appears whole or not at all.</summary>
    public void PutBack()
    {
        if (!isInPlace || _placed.Count == 0)
        {
            return;
        }

        for (var i = 0; i < _placed.Count; i++)
        {
            var (from, to) = _placed[i];
            if (from.StartsWith(OfDebian, StringComparison.Ordinal) && !IsBehindLink(from) && TryPutBack(from, to))
            {
                File.Delete(to);
                _placed[i] = (from, from);
            }
        }

        if (_placed.TrueForAll(static p => p.From == p.To))
        {
            Directory.Delete(writer.PathOf(Folder), recursive: true);
        }
    }

    // A link in there may be anybody's, and lead anywhere.
    private static bool IsBehindLink(string path)
    {
        for (var directory = Path.GetDirectoryName(path)!; directory.Length >= OfDebian.Length; directory = Path.GetDirectoryName(directory)!)
        {
            if (LocalFiles.Look(directory, follow: false)?.Kind == FileKind.Link)
            {
                return true;
            }
        }

        return false;
    }

    private bool TryPutBack(string path, string whole)
    {
        // PostgreSQL's include_dir skips names that begin so.
        var temporary = Path.Combine(Path.GetDirectoryName(path)!, $"{AtomicFile.TemporaryPrefix}{Path.GetFileName(path)}");
        try
        {
            var content = File.ReadAllBytes(whole);
            if (LocalFiles.Look(path, follow: false) is { } there)
            {
                // An earlier restore that was killed may have put it there.
                return there.Kind == FileKind.File && content.AsSpan().SequenceEqual(File.ReadAllBytes(path));
            }

            MakeParents(Path.GetDirectoryName(path)!, MakeDurably);
            File.Delete(temporary);
            writer.Write(temporary, content, durable: true);
            File.Move(temporary, path);
            LocalFiles.SyncDirectory(Path.GetDirectoryName(path)!);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Only root may write there; it stays in the folder.
            return false;
        }
    }

    private void MakeDurably(string directory)
    {
        writer.MakeDirectory(directory, DebianDirectory);
        LocalFiles.SyncDirectory(Path.GetDirectoryName(directory)!);
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
