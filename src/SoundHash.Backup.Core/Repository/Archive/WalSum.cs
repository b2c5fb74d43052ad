using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>The file beside an object of the WAL archive that decides its content: its plain SHA-256, as coreutils write it.</summary>
internal static class WalSum
{
    private const int MostBytes = 4096;

    /// <summary>The sum of an object, in lower-case hex; null when there is none.</summary>
    /// <exception cref="BackupException">It is there and can't be read.</exception>
    public static async Task<string?> ReadAsync(IObjectStore store, string key, CancellationToken cancel)
    {
        if (await store.ReadAsync(key + WalLayout.SumSuffix, MostBytes, cancel) is not { } bytes)
        {
            return null;
        }

        var name = NameOf(key);
        var text = Encoding.ASCII.GetString(bytes);
        return text.Length > 64 && text[..64].All(char.IsAsciiHexDigitLower) && text[64..].Trim() == name
            ? text[..64]
            : throw new BackupException(
                ErrorKind.Verification,
                $"{key}{WalLayout.SumSuffix} in store {store.Name} is damaged, so that the content of {name} can't be known",
                "restore that file from another copy of the archive");
    }

    /// <summary>Writes the sum of an object that is to come.</summary>
    /// <exception cref="ObjectExistsException">It has one; that was not touched.</exception>
    public static Task WriteAsync(IObjectStore store, string key, string sha256, CancellationToken cancel) => store.WriteAsync(
        key + WalLayout.SumSuffix, Encoding.ASCII.GetBytes($"{sha256}  {NameOf(key)}\n"), WriteMode.CreateNew, cancel);

    private static string NameOf(string key) => key[(key.LastIndexOf('/') + 1)..];
}
