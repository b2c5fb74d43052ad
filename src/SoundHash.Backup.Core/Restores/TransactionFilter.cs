using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Passes on what <c>pg_restore --single-transaction --file=-</c> writes, without its BEGIN at the start and its COMMIT
/// at the end: several archives then become one transaction, which ends only when every hash was right.
/// </summary>
internal sealed class TransactionFilter(Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> target)
{
    // Header and trailer that pg_restore writes (src/bin/pg_dump/pg_backup_archiver.c, RestoreArchive) are far shorter.
    private const int Held = 4096;

    private byte[] _held = [];
    private bool _begun;

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> sql, CancellationToken cancel)
    {
        if (_begun && sql.Length >= Held)
        {
            await target(_held, cancel);
            await target(sql[..^Held], cancel);
            _held = sql[^Held..].ToArray();
            return;
        }

        byte[] all = [.. _held, .. sql.Span];
        if (!_begun && all.Length >= Held)
        {
            all = Without(all, "\nBEGIN;\n"u8, first: true);
            _begun = true;
        }

        var pass = _begun ? Math.Max(all.Length - Held, 0) : 0;
        await target(all.AsMemory(0, pass), cancel);
        _held = all[pass..];
    }

    /// <summary>Passes on the rest.</summary>
    /// <exception cref="BackupException">pg_restore wrote something else than it must.</exception>
    public async ValueTask FinishAsync(CancellationToken cancel)
    {
        var rest = _begun ? _held : Without(_held, "\nBEGIN;\n"u8, first: true);
        await target(Without(rest, "\nCOMMIT;\n"u8, first: false), cancel);
    }

    private static byte[] Without(byte[] text, ReadOnlySpan<byte> statement, bool first)
    {
        var at = first ? text.AsSpan().IndexOf(statement) : text.AsSpan().LastIndexOf(statement);
        return at >= 0
            ? [.. text.AsSpan(0, at + 1), .. text.AsSpan(at + statement.Length)]
            : throw new BackupException(
                ErrorKind.ChildFailed,
                $"pg_restore --single-transaction wrote a script without {(first ? "BEGIN" : "COMMIT")}; nothing was changed",
                "restore into a new database with --target-db NAME");
    }
}
