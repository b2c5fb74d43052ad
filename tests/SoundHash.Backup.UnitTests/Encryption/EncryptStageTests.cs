using SoundHash.Backup.Encryption;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.UnitTests.Encryption;

/// <summary>What becomes of a pipeline when a stage after, or before, encryption fails. The same for both methods.</summary>
[Collection(GpgTests.Name)]
public sealed class EncryptStageTests(GpgKeyring keyring) : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = HangLimit)]
    [InlineData(EncryptionMethod.Age)]
    [InlineData(EncryptionMethod.Gpg)]
    public async Task A_disk_that_is_full_in_the_middle_is_reported_as_itself(EncryptionMethod method)
    {
        var disk = new FullDiskStage(room: 300_000);
        var provider = await ProviderAsync(method);

        var e = await Assert.ThrowsAsync<IOException>(async () =>
        {
            await using var stage = provider.Encrypt(disk);
            await stage.WriteAllAsync(NewRandom().Noise(20_000_000), () => 1_000_000);
        });

        Assert.Equal(FullDiskStage.Message, e.Message);
        Assert.False(disk.Completed);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(EncryptionMethod.Age)]
    [InlineData(EncryptionMethod.Gpg)]
    public async Task A_disk_that_is_full_at_the_very_end_is_reported_as_itself(EncryptionMethod method)
    {
        var disk = new FullDiskStage(room: 10);
        var provider = await ProviderAsync(method);
        await using var stage = provider.Encrypt(disk);
        // gpg may write its header before it has all.
        var e = await Assert.ThrowsAsync<IOException>(async () =>
        {
            await stage.WriteAsync(new byte[100], Cancel);
            await stage.CompleteAsync(Cancel);
        });

        Assert.Equal(FullDiskStage.Message, e.Message);
        Assert.False(disk.Completed);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(EncryptionMethod.Age)]
    [InlineData(EncryptionMethod.Gpg)]
    public async Task Nothing_is_published_without_completion(EncryptionMethod method)
    {
        var target = new MemoryStage();
        var provider = await ProviderAsync(method);
        await using (var stage = provider.Encrypt(target))
        {
            await stage.WriteAsync(NewRandom().Noise(3_000_000), Cancel);
        }

        Assert.False(target.Completed);
        Assert.True(target.Disposed);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(EncryptionMethod.Age)]
    [InlineData(EncryptionMethod.Gpg)]
    public async Task A_stage_that_blocks_behind_encryption_can_be_given_up(EncryptionMethod method)
    {
        var blocked = new BlockedStage();
        var provider = await ProviderAsync(method);
        await using (var stage = provider.Encrypt(blocked))
        {
            await stage.WriteAsync(new byte[500_000], Cancel);
            await blocked.Reached;
        }

        Assert.True(blocked.Disposed);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(EncryptionMethod.Age)]
    [InlineData(EncryptionMethod.Gpg)]
    public async Task Plain_bytes_never_reach_the_store(EncryptionMethod method)
    {
        var plain = "COPY public.videos (id, title) FROM stdin;"u8.ToArray();
        var target = new MemoryStage();
        await using var stage = (await ProviderAsync(method)).Encrypt(target);

        await stage.WriteAllAsync([.. Enumerable.Repeat(plain, 10_000).SelectMany(static p => p)]);

        Assert.Equal(-1, target.Published.AsSpan().IndexOf(plain.AsSpan(0, 12)));
        Assert.Equal(method, EncryptionFormat.Detect(target.Published));
    }

    private async Task<IEncryptionProvider> ProviderAsync(EncryptionMethod method)
    {
        IEncryptionProvider provider = method == EncryptionMethod.Age
            ? new AgeEncryption(Children.Launcher, [(await AgeKey.MakeAsync(_folder)).Recipient], [])
            : keyring.Provider("alice");
        await provider.CheckRecipientsAsync(Cancel);
        return provider;
    }

    private sealed class BlockedStage : WriteStage
    {
        private readonly TaskCompletionSource _reached = new();

        public Task Reached => _reached.Task;

        public bool Disposed { get; private set; }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            _reached.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        public override Task CompleteAsync(CancellationToken cancel) => Task.CompletedTask;

        public override ValueTask DisposeAsync()
        {
            Disposed = true;
            return ValueTask.CompletedTask;
        }
    }
}
