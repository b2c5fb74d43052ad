using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>
/// The file beside an object of the WAL archive: first, as coreutils write it, what the content is; then, in a comment to
/// them, how that is stored.
/// </summary>
/// <param name="Sha256">SHA-256 of the plain bytes, lower-case hex: the content that the name has for ever.</param>
/// <param name="Stored">
/// XXH128 of the stored bytes, lower-case hex, which can be checked without a key; null where it is not known. Of a damaged line it is
/// what stands there, which is no object's: what the content is, the first line says all the same.
/// </param>
internal sealed record WalSum(string Sha256, string? Stored)
{
    private const int MostBytes = 4096;
    private const string StoredMark = "# stored xxh128 ";

    /// <summary>The sum of an object; null when there is none.</summary>
    /// <exception cref="BackupException">It is there and can't be read.</exception>
    public static async Task<WalSum?> ReadAsync(IObjectStore store, string key, CancellationToken cancel)
    {
        if (await store.ReadAsync(key + WalLayout.SumSuffix, MostBytes, cancel) is not { } bytes)
        {
            return null;
        }

        var name = NameOf(key);
        return Parse(Encoding.ASCII.GetString(bytes), name) ?? throw new BackupException(
            ErrorKind.Verification,
            $"{key}{WalLayout.SumSuffix} in store {store.Name} is damaged, so that the content of {name} can't be known",
            "restore that file from another copy of the archive");
    }

    /// <summary>Writes it, whole or not at all.</summary>
    /// <exception cref="ObjectExistsException">A new one was to be made and there is one; that was not touched.</exception>
    public Task WriteAsync(IObjectStore store, string key, WriteMode mode, CancellationToken cancel)
    {
        var stored = Stored is null ? string.Empty : $"{StoredMark}{Stored}\n";
        return store.WriteAsync(key + WalLayout.SumSuffix, Encoding.ASCII.GetBytes($"{Sha256}  {NameOf(key)}\n{stored}"), mode, cancel);
    }

    private static WalSum? Parse(string text, string name)
    {
        var lines = text.Split('\n', 2);
        if (lines[0].Length <= 64 || !IsHex(lines[0][..64]) || lines[0][64..].Trim() != name)
        {
            return null;
        }

        var rest = lines.Length > 1 ? lines[1].Trim() : string.Empty;
        var stored = rest.StartsWith(StoredMark, StringComparison.Ordinal) ? rest[StoredMark.Length..] : rest;
        return new WalSum(lines[0][..64], stored.Length == 0 ? null : stored);
    }

    private static bool IsHex(string text) => text.All(char.IsAsciiHexDigitLower);

    private static string NameOf(string key) => key[(key.LastIndexOf('/') + 1)..];
}
