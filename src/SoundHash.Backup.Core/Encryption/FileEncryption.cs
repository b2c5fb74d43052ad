using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Encryption;

/// <summary>
/// Encrypts and decrypts single files. The output appears whole or not at all, and a kill leaves nothing of a decrypted one
/// where the file system has nameless files (the usual local ones of Linux have).
/// </summary>
public sealed class FileEncryption(EncryptionProviders providers, TransferMeter meter)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Encrypts a file to the provider's recipients.</summary>
    /// <param name="input">The file to read.</param>
    /// <param name="output">The file to make.</param>
    /// <param name="method">How to encrypt.</param>
    /// <param name="force">True replaces an output that is a file, once the new one is whole.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">Anything failed; the output is as it was before.</exception>
    public async Task EncryptAsync(string input, string output, EncryptionMethod method, bool force, CancellationToken cancel)
    {
        var provider = providers.For(method);
        _ = await provider.CheckRecipientsAsync(cancel);
        await using var source = Open(input, output, force);
        await using var target = provider.Encrypt(Create(output, force, secret: false));
        await CopyAsync(source, target, output, cancel);
    }

    /// <summary>Decrypts a file; the method is told by its first bytes.</summary>
    /// <returns>The method that it was encrypted with.</returns>
    /// <exception cref="BackupException">Anything failed; the output is as it was before.</exception>
    public async Task<EncryptionMethod> DecryptAsync(string input, string output, bool force, CancellationToken cancel)
    {
        await using var source = Open(input, output, force);
        var (method, encrypted) = await PeekStage.ReadAsync(source, EncryptionFormat.ProbeBytes, EncryptionFormat.Detect, cancel);
        if (method == EncryptionMethod.None)
        {
            throw new BackupException(ErrorKind.Encryption, $"{input} is encrypted neither with age nor with gpg", "check the file");
        }

        await using var plain = providers.For(method).Decrypt(encrypted, input);
        await using var target = Create(output, force, secret: true);
        await CopyAsync(plain, target, output, cancel);
        return method;
    }

    private static AtomicFile Create(string output, bool force, bool secret)
    {
        try
        {
            return new AtomicFile(output, force ? WriteMode.Replace : WriteMode.CreateNew, OwnerOnly, secret: secret);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(output, e);
        }
    }

    private static FileReadStage Open(string input, string output, bool force)
    {
        if (Path.GetFullPath(input) == Path.GetFullPath(output))
        {
            throw new BackupException(ErrorKind.Usage, $"input and output are the same file: {input}");
        }

        // Looked at early to spare the work; the write itself never overwrites either.
        EnsureReplaceable(output);
        if (!force && Path.Exists(output))
        {
            throw Exists(output);
        }

        try
        {
            var file = new FileStream(input, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
            return new FileReadStage(file, e => CannotRead(input, e));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotRead(input, e);
        }
    }

    // A rename would put a regular file in the place of a device or a pipe: /dev/null would be none any more.
    private static void EnsureReplaceable(string output)
    {
        try
        {
            if (LocalFiles.Look(output, follow: true) is { Kind: not FileKind.File })
            {
                throw new BackupException(
                    ErrorKind.Usage,
                    $"{output} is no regular file, and nothing is written to such; it was not touched",
                    "name a file with --output, then copy it to where it is to go");
            }
        }
        catch (IOException e)
        {
            throw CannotWrite(output, e);
        }
    }

    private async Task CopyAsync(Stream source, WriteStage target, string output, CancellationToken cancel)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(StreamCopy.ChunkBytes);
        try
        {
            int read;
            while ((read = await source.ReadAsync(buffer, cancel)) > 0)
            {
                await target.WriteAsync(buffer.AsMemory(0, read), cancel);
                await meter.AddAsync(read, cancel);
            }

            await target.CompleteAsync(cancel);
        }
        catch (FileExistsException)
        {
            throw Exists(output);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(output, e);
        }
    }

    private static BackupException CannotRead(string input, Exception e) =>
        new(ErrorKind.Storage, $"can't read {input}: {e.Message}", "check the path and the disk", e);

    private static BackupException CannotWrite(string output, Exception e) =>
        new(ErrorKind.Storage, $"can't write {output}: {e.Message}", "check the directory and its free space", e);

    private static BackupException Exists(string output) =>
        new(ErrorKind.Usage, $"{output} already exists; it was not touched", "choose another --output, or replace it with --force");
}
