using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.UnitTests.Restores;

/// <summary>What pg_restore --single-transaction writes becomes part of another transaction.</summary>
public sealed class TransactionFilterTests
{
    private const string Header = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n";
    private const string Trailer = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";

    // Rows may read like the statements that are taken out.
    private static readonly string Rows = $"COPY t FROM stdin;\nBEGIN;\nCOMMIT;\n{new string('x', 9000)}\nBEGIN;\nCOMMIT;\n\\.\n\n";

    [Theory]
    [InlineData("")]
    [InlineData("CREATE TABLE t ();\n")]
    [InlineData("rows")]
    public async Task Only_the_begin_at_the_start_and_the_commit_at_the_end_are_taken_out(string body)
    {
        var sql = body == "rows" ? Rows : body;
        var script = $"{Header}BEGIN;\n\nSET statement_timeout = 0;\n{sql}COMMIT;\n\n{Trailer}";
        var seed = Environment.TickCount;
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            var passed = await FilterAsync(script, () => random.Next(1, round < 100 ? 50 : 20000));
            Assert.True(passed == $"{Header}\nSET statement_timeout = 0;\n{sql}\n{Trailer}", $"seed {seed}, round {round}: {passed}");
        }
    }

    [Theory]
    [InlineData("SET x = 0;\nCOMMIT;\n")]
    [InlineData("\nBEGIN;\nSET x = 0;\n")]
    [InlineData("")]
    public async Task A_script_that_is_no_transaction_is_refused(string script) =>
        await Assert.ThrowsAsync<BackupException>(() => FilterAsync(script, static () => 100));

    private static async Task<string> FilterAsync(string script, Func<int> chunk)
    {
        using var passed = new MemoryStream();
        var filter = new TransactionFilter((bytes, _) =>
        {
            passed.Write(bytes.Span);
            return ValueTask.CompletedTask;
        });
        var all = Encoding.UTF8.GetBytes(script);
        for (var at = 0; at < all.Length;)
        {
            var length = Math.Min(chunk(), all.Length - at);
            await filter.WriteAsync(all.AsMemory(at, length), CancellationToken.None);
            at += length;
        }

        await filter.FinishAsync(CancellationToken.None);
        return Encoding.UTF8.GetString(passed.ToArray());
    }
}
