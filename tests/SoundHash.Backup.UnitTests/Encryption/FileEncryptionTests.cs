using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>Single files: the output appears whole or not at all, and nothing that exists is lost.</summary>
[Collection(GpgTests.Name)]
public sealed class FileEncryptionTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private AgeKey _key = null!;

    public async ValueTask InitializeAsync() => _key = await AgeKey.MakeAsync(_folder);

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(EncryptionMethod.Age)]
    [InlineData(EncryptionMethod.Gpg)]
    public async Task A_file_comes_back_as_it_was(EncryptionMethod method)
    {
        var bytes = NewRandom().Noise(2_500_000);
        await File.WriteAllBytesAsync(_folder["in"], bytes, Cancel);

        await Files(method).EncryptAsync(_folder["in"], _folder["stored"], method, force: false, Cancel);
        Assert.Equal(method, await Files().DecryptAsync(_folder["stored"], _folder["out"], force: false, Cancel));

        Assert.Equal(bytes, await File.ReadAllBytesAsync(_folder["out"], Cancel));
        Assert.Equal(bytes, await File.ReadAllBytesAsync(_folder["in"], Cancel));
        Assert.Equal(["identity.txt", "in", "out", "stored"], _folder.Files());
    }

    [Fact(Timeout = HangLimit)]
    public async Task Only_the_owner_may_read_what_was_decrypted()
    {
        var stored = await StoredAsync([1, 2, 3]);

        await Files().DecryptAsync(stored, _folder["out"], force: false, Cancel);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder["out"]));
    }

    [Fact(Timeout = HangLimit)]
    public async Task An_existing_output_is_never_touched_without_force()
    {
        var stored = await StoredAsync([1, 2, 3]);
        _folder.Write("out", "precious");

        foreach (var attempt in (Func<Task>[])[
            () => Files().DecryptAsync(stored, _folder["out"], force: false, Cancel),
            () => Files().EncryptAsync(stored, _folder["out"], EncryptionMethod.Age, force: false, Cancel),
        ])
        {
            var e = await Assert.ThrowsAsync<BackupException>(attempt);
            Assert.Equal(ErrorKind.Usage, e.Kind);
            Assert.Contains("it was not touched", e.Message, StringComparison.Ordinal);
        }

        Assert.Equal("precious", await File.ReadAllTextAsync(_folder["out"], Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task With_force_an_existing_output_is_replaced_by_a_whole_one()
    {
        var stored = await StoredAsync([1, 2, 3]);
        _folder.Write("out", "old");

        await Files().DecryptAsync(stored, _folder["out"], force: true, Cancel);

        Assert.Equal([1, 2, 3], await File.ReadAllBytesAsync(_folder["out"], Cancel));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("mkfifo out")]
    [InlineData("mkfifo fifo && ln -s fifo out")]
    [InlineData("mknod out c 1 3 || mkfifo out")] // Only root makes devices.
    [InlineData("mkdir out")]
    public async Task What_is_no_regular_file_is_not_replaced_even_with_force(string make)
    {
        var stored = await StoredAsync([1, 2, 3]);
        await Programs.RunAsync("/bin/sh", ["-c", $"cd '{_folder.Path}' && {make}"]);
        async Task<byte[]> ListAsync() => (await Programs.RunAsync("/bin/ls", ["-lRi", "--time-style=full-iso", _folder.Path])).Output;
        var before = await ListAsync();

        foreach (var attempt in (Func<Task>[])[
            () => Files().DecryptAsync(stored, _folder["out"], force: true, Cancel),
            () => Files().EncryptAsync(stored, _folder["out"], EncryptionMethod.Age, force: true, Cancel),
        ])
        {
            var e = await Assert.ThrowsAsync<BackupException>(attempt);
            Assert.Equal(ErrorKind.Usage, e.Kind);
            Assert.Contains("it was not touched", e.Message, StringComparison.Ordinal);
        }

        Assert.Equal(before, await ListAsync());
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_failure_with_force_leaves_the_existing_output_as_it_was()
    {
        var stored = await StoredAsync(NewRandom().Noise(1_000_000));
        await CutAsync(stored, 500_000);
        _folder.Write("out", "precious");

        var e = await Assert.ThrowsAsync<BackupException>(() => Files().DecryptAsync(stored, _folder["out"], force: true, Cancel));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.Equal("precious", await File.ReadAllTextAsync(_folder["out"], Cancel));
        Assert.Equal(["identity.txt", "out", "stored"], _folder.Files());
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_failure_leaves_no_half_file()
    {
        var stored = await StoredAsync(NewRandom().Noise(1_000_000));
        await CutAsync(stored, 500_000);

        await Assert.ThrowsAsync<BackupException>(() => Files().DecryptAsync(stored, _folder["out"], force: false, Cancel));

        Assert.Equal(["identity.txt", "stored"], _folder.Files());
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_gpg_message_that_is_cut_before_its_data_is_no_empty_file()
    {
        _folder.Write("in", "data");
        await Files(EncryptionMethod.Gpg).EncryptAsync(_folder["in"], _folder["stored"], EncryptionMethod.Gpg, force: false, Cancel);
        await CutAsync(_folder["stored"], 50);

        var e = await Assert.ThrowsAsync<BackupException>(
            () => Files().DecryptAsync(_folder["stored"], _folder["out"], force: false, Cancel));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.False(File.Exists(_folder["out"]));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Cancelling_leaves_no_half_file()
    {
        var stored = await StoredAsync(NewRandom().Noise(3_000_000));
        var stop = new CancellationTokenSource();
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Files().DecryptAsync(stored, _folder["out"], force: false, stop.Token));

        Assert.Equal(["identity.txt", "stored"], _folder.Files());
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_directory_that_is_missing_is_a_failure_of_storage_that_names_the_output()
    {
        var stored = await StoredAsync([1, 2, 3]);
        var output = _folder["no/such/out"];

        foreach (var attempt in (Func<Task>[])[
            () => Files().DecryptAsync(stored, output, force: false, Cancel),
            () => Files().EncryptAsync(stored, output, EncryptionMethod.Age, force: false, Cancel),
        ])
        {
            var e = await Assert.ThrowsAsync<BackupException>(attempt);
            Assert.Equal(ErrorKind.Storage, e.Kind);
            Assert.StartsWith($"can't write {output}: ", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_missing_input_is_told_by_its_path()
    {
        var e = await Assert.ThrowsAsync<BackupException>(
            () => Files().DecryptAsync(_folder["missing"], _folder["out"], force: false, Cancel));

        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.StartsWith($"can't read {_folder["missing"]}: ", e.Message, StringComparison.Ordinal);
    }

    // The kernel answers EIO where nothing is mapped; the output is not to blame.
    [Fact(Timeout = HangLimit)]
    public async Task An_input_that_fails_while_it_is_read_is_told_by_its_path()
    {
        var e = await Assert.ThrowsAsync<BackupException>(
            () => Files().EncryptAsync("/proc/self/mem", _folder["out"], EncryptionMethod.Age, force: false, Cancel));

        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.StartsWith("can't read /proc/self/mem: ", e.Message, StringComparison.Ordinal);
        Assert.Equal(["identity.txt"], _folder.Files());
    }

    [Fact(Timeout = HangLimit)]
    public async Task Input_and_output_may_not_be_the_same_file()
    {
        var stored = await StoredAsync([1, 2, 3]);
        var before = await File.ReadAllBytesAsync(stored, Cancel);

        var e = await Assert.ThrowsAsync<BackupException>(
            () => Files().DecryptAsync(stored, _folder["./x/../stored"], force: true, Cancel));

        Assert.Equal(ErrorKind.Usage, e.Kind);
        Assert.Equal(before, await File.ReadAllBytesAsync(stored, Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_file_that_is_not_encrypted_is_told_as_such()
    {
        var e = await Assert.ThrowsAsync<BackupException>(
            () => Files().DecryptAsync(_folder.Write("plain", "-- PostgreSQL database dump"), _folder["out"], force: false, Cancel));

        Assert.Equal(ErrorKind.Encryption, e.Kind);
        Assert.Contains("encrypted neither with age nor with gpg", e.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder["out"]));
    }

    private FileEncryption Files(EncryptionMethod method = EncryptionMethod.Age) => new(
        new EncryptionProviders(
            Children.Launcher,
            TimeProvider.System,
            new EncryptionSettings(method, [method == EncryptionMethod.Age ? _key.Recipient : "alice"], [_key.IdentityFile], null)),
        new TransferMeter(TimeProvider.System));

    private async Task<string> StoredAsync(byte[] bytes)
    {
        await File.WriteAllBytesAsync(_folder["stored"], await Programs.FilterAsync("age", ["-r", _key.Recipient], bytes), Cancel);
        return _folder["stored"];
    }

    private static async Task CutAsync(string path, int length)
    {
        await using var file = new FileStream(path, FileMode.Open);
        file.SetLength(length);
    }
}
