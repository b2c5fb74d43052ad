using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Wal;

/// <summary>What a receiver stores of an unfinished segment is as secret as a whole one, and as good for a recovery.</summary>
public sealed class EncryptedPieceTests
{
    [Theory]
    [InlineData("age")]
    [InlineData("gpg")]
    public async Task A_server_is_recovered_from_encrypted_pieces_up_to_the_last_commit_that_was_flushed(string method)
    {
        await using var cluster = new EncryptedReceivingCluster(method);
        await cluster.InitializeAsync();
        await using var receiver = await cluster.ReceiveAsync();
        await using var copy = await ClusterCopy.OfAsync(cluster);
        await cluster.FillAsync();
        // Two pieces at least, so that there is something to join.
        foreach (var text in (string[])["the one before", "the last one before the loss"])
        {
            var lsn = await cluster.CommitAsync(text);
            await Eventually.TrueAsync(async () => await cluster.IsFlushedAsync(lsn), "the commit is in a piece");
        }

        var segment = (await cluster.TextAsync("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())"))!;
        var pieces = await cluster.PiecesAsync(segment);
        Assert.InRange(pieces.Length, 2, int.MaxValue);
        foreach (var piece in pieces)
        {
            await EncryptedFile.EnsureAsync(piece, method);
        }

        await copy.RecoverAsync(cluster);

        Assert.Equal("1", await copy.TextAsync("SELECT count(*)::text FROM marker WHERE t = 'the last one before the loss'"));
        Assert.Contains("bytes of it are from pieces", await copy.LogAsync(), StringComparison.Ordinal);
    }
}
