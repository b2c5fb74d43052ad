using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.Restores;

/// <summary>
/// SQL fed to psql. A script in a transaction is committed only by <see cref="FinishAsync"/>, and only a marker that
/// psql prints after the COMMIT counts as success: a script that is cut inside COPY would swallow the COMMIT as data,
/// and psql would still exit with 0.
/// </summary>
internal sealed class SqlScript : IAsyncDisposable
{
    private readonly ChildProcess _psql;
    private readonly bool _transaction;
    private readonly ToolWarnings _warnings;
    private readonly string _marker = $"shbackup-{Guid.NewGuid():n}";
    private readonly Task<string> _output;
    private bool _begun;

    public SqlScript(ChildProcess psql, bool transaction, ToolWarnings warnings)
    {
        _warnings = warnings;
        _psql = psql;
        _transaction = transaction;
        _output = ReadTailAsync();
    }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> sql, CancellationToken cancel)
    {
        if (!_begun)
        {
            _begun = true;
            await _psql.WriteInputAsync(Encoding.UTF8.GetBytes(Timeouts.OffAsSql), cancel);
            if (_transaction)
            {
                await _psql.WriteInputAsync("BEGIN;\n"u8.ToArray(), cancel);
            }
        }

        try
        {
            await _psql.WriteInputAsync(sql, cancel);
        }
        catch (ChildProcessException e)
        {
            throw ArchiveLoader.Explain(e);
        }
    }

    public ValueTask WriteAsync(string sql, CancellationToken cancel) => WriteAsync(Encoding.UTF8.GetBytes(sql), cancel);

    /// <summary>Says that the script is whole, commits and waits.</summary>
    /// <exception cref="BackupException">A statement failed, or the end of the script was not reached as SQL.</exception>
    public async Task FinishAsync(CancellationToken cancel)
    {
        // A script that went on past an error has left a failed transaction, whose COMMIT is a ROLLBACK without an error.
        var check = "\n\\set ON_ERROR_STOP on\nSELECT 1;\n";
        var commit = _transaction && _begun ? "COMMIT;\n" : string.Empty;
        await _psql.WriteInputAsync(Encoding.UTF8.GetBytes(check), cancel);
        await _psql.WriteInputAsync(Encoding.UTF8.GetBytes($"{commit}SELECT '{_marker}';\n"), cancel);
        _psql.CloseInput();
        var output = await EndAsync(cancel);
        _warnings.Add(_psql);
        if (!output.TrimEnd().EndsWith(_marker, StringComparison.Ordinal))
        {
            throw new BackupException(
                ErrorKind.ChildFailed,
                "psql came to the end of the script without running its last statement: the script is cut, or ends inside a quote or COPY",
                "check that the file is whole");
        }
    }

    public ValueTask DisposeAsync() => _psql.DisposeAsync();

    private async Task<string> EndAsync(CancellationToken cancel)
    {
        try
        {
            var output = await _output.WaitAsync(cancel);
            await _psql.EnsureSuccessAsync(cancel);
            return output;
        }
        catch (ChildProcessException e)
        {
            throw ArchiveLoader.Explain(e);
        }
        catch (OperationCanceledException e) when (_transaction)
        {
            throw new BackupException(
                ErrorKind.Cancelled,
                "cancelled while the transaction was being committed: whether it was committed is not known",
                "look whether the rows are there before you restore again",
                e);
        }
    }

    private async Task<string> ReadTailAsync()
    {
        // Only the end matters: results of statements in the script come before it.
        var tail = new ByteTail(4096);
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await _psql.ReadOutputAsync(buffer, CancellationToken.None)) > 0)
        {
            tail.Add(buffer.AsSpan(0, read));
        }

        return Encoding.UTF8.GetString(tail.Bytes);
    }
}
