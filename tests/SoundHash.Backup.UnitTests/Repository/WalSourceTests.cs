using System.Security.Cryptography;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;

namespace SoundHash.Backup.UnitTests.Repository;

public sealed class WalSourceTests : IDisposable
{
    private const string Name = "000000010000000000000003";
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData(0)]
    [InlineData(10)]
    [InlineData(1 << 20)]
    [InlineData((64 << 20) + 1)]
    public async Task A_file_of_any_length_is_hashed_and_copied_whole(int length)
    {
        var bytes = TestRun.NewRandom().Noise(length);
        await File.WriteAllBytesAsync(_folder[Name], bytes, TestRun.Cancel);
        var source = await WalSource.ReadAsync(TestWal.Name(Name), _folder[Name], TestRun.Cancel);
        Assert.Equal((length, Convert.ToHexStringLower(SHA256.HashData(bytes))), (source.Length, source.Sha256));
        Assert.Equal(bytes[..Math.Min(length, WalHeader.Bytes)], source.First.ToArray());
        await using var stage = new MemoryStage();
        await source.CopyToAsync(stage, TestRun.Cancel);
        Assert.False(stage.Completed);
        await stage.CompleteAsync(TestRun.Cancel);
        Assert.True(bytes.AsSpan().SequenceEqual(stage.Published));
    }

    [Fact]
    public async Task A_large_file_that_changes_after_it_was_hashed_is_refused()
    {
        await using (var file = File.Create(_folder[Name]))
        {
            file.SetLength((64 << 20) + 1);
        }

        var source = await WalSource.ReadAsync(TestWal.Name(Name), _folder[Name], TestRun.Cancel);
        await using (var file = File.OpenWrite(_folder[Name]))
        {
            file.WriteByte(1);
        }

        await using var stage = new MemoryStage();
        await Assert.ThrowsAsync<BackupException>(() => source.CopyToAsync(stage, TestRun.Cancel));
    }

    [Fact]
    public async Task A_missing_file_is_an_error_that_names_it()
    {
        var e = await Assert.ThrowsAsync<BackupException>(() => WalSource.ReadAsync(TestWal.Name(Name), _folder[Name], TestRun.Cancel));
        Assert.Contains(_folder[Name], e.Message, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();
}
