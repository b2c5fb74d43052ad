using SoundHash.Backup.Errors;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Encryption;

/// <summary>
/// The identity files of a run. One that is protected by a passphrase is unlocked once, by age on the terminal, and then
/// kept in memory: a restore reads many objects, several at once, and a person should have to answer once.
/// </summary>
internal sealed class AgeIdentities
{
    private readonly ProcessLauncher _launcher;
    private readonly EncryptionSettings _settings;
    private readonly Lazy<IReadOnlyList<string>> _paths;

    // Held for as long as this process: a file in memory that nobody refers to is closed, and its number is reused.
    private readonly List<MemoryFile> _unlocked = [];

    public AgeIdentities(ProcessLauncher launcher, EncryptionSettings settings)
    {
        _launcher = launcher;
        _settings = settings;
        _paths = new Lazy<IReadOnlyList<string>>(() => _settings.IdentityFiles.Select(Usable).ToList());
    }

    /// <summary>Paths that age can read identities from, as long as this process lives.</summary>
    /// <exception cref="BackupException">A file is missing or can't be unlocked.</exception>
    public IReadOnlyList<string> Paths => _paths.Value;

    private string Usable(string file)
    {
        if (!File.Exists(file))
        {
            throw new BackupException(
                ErrorKind.Encryption, $"identity file {file} does not exist", $"correct {_settings.IdentityNames}");
        }

        if (!IsProtected(file))
        {
            return file;
        }

        if (Console.IsInputRedirected)
        {
            throw new BackupException(
                ErrorKind.Encryption,
                $"identity file {file} is protected by a passphrase, which age asks for on a terminal, and there is none",
                "run this on a terminal, or use an identity file that only its owner can read, without a passphrase");
        }

        // Blocks on purpose: nothing else may write to the terminal while age asks.
        return UnlockAsync(file).GetAwaiter().GetResult();
    }

    private async Task<string> UnlockAsync(string file)
    {
        try
        {
            var command = new ChildCommand(AgeEncryption.Program(), ["--decrypt", file]) { KeepTerminal = true };
            var identity = await _launcher.ReadOutputAsync(command, CancellationToken.None);
            var memory = new MemoryFile("identity");
            _unlocked.Add(memory);
            await memory.Stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(identity));
            return memory.Path;
        }
        catch (ChildProcessException e)
        {
            throw new BackupException(
                ErrorKind.Encryption,
                $"identity file {file} can't be unlocked: {e.Message}",
                "try again with the right passphrase",
                e);
        }
    }

    private static bool IsProtected(string file)
    {
        try
        {
            using var stream = File.OpenRead(file);
            var first = new byte[EncryptionFormat.ProbeBytes];
            return EncryptionFormat.Detect(
                first.AsSpan(0, stream.ReadAtLeast(first, first.Length, throwOnEndOfStream: false))) == EncryptionMethod.Age;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(ErrorKind.Encryption, $"identity file {file} can't be read: {e.Message}", inner: e);
        }
    }
}
