using System.Text;
using Serilog.Core;
using Serilog.Events;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Processes;

/// <summary>What a child says is kept in little memory, whatever it says.</summary>
public sealed class StderrTailTests
{
    [Fact]
    public async Task A_line_without_end_takes_no_more_memory_than_the_tail()
    {
        var tail = new StderrTail("tool", Logger.None);
        var reader = new StreamReader(new EndlessLine(200_000_000), Encoding.UTF8);

        var before = GC.GetAllocatedBytesForCurrentThread();
        var drained = tail.DrainAsync(reader);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        await drained;

        Assert.InRange(tail.ToString().Length, 1024, 64 * 1024);
        // The source never waits, so that all of the work was done on this thread.
        Assert.InRange(allocated, 0, 50_000_000);
    }

    [Fact]
    public async Task The_end_of_a_long_line_is_what_is_kept_of_it()
    {
        var tail = new StderrTail("tool", Logger.None);
        using var reader = new StreamReader(new MemoryStream(Encoding.UTF8.GetBytes($"{new string('x', 300_000)} FATAL: the reason")));

        await tail.DrainAsync(reader);

        Assert.EndsWith("xxx FATAL: the reason", tail.ToString().TrimEnd('\n'), StringComparison.Ordinal);
    }

    // src/bin/pg_dump/pg_backup_db.c prints the whole statement after an error.
    [Fact]
    public async Task The_text_of_a_failed_statement_with_its_passwords_is_neither_kept_nor_logged()
    {
        var log = new RecordingLog();
        const string Said =
            """
            pg_restore: error: could not execute query: ERROR:  permission denied
            Command was: CREATE USER MAPPING FOR bob SERVER other OPTIONS (
                password 'verysecret',
                "user" 'bob'
            );
            pg_restore: error: could not execute query: ERROR:  no such thing
            Command was: CREATE SUBSCRIPTION s CONNECTION 'password=verysecret' PUBLICATION p;
            """;
        var tail = new StderrTail("pg_restore", log.Log);

        await tail.DrainAsync(new StreamReader(new MemoryStream(Encoding.UTF8.GetBytes(Said))));

        Assert.DoesNotContain(tail.Lines().Concat(log.Messages(LogEventLevel.Debug)).Append(tail.ToString()), static l => l.Contains("verysecret", StringComparison.Ordinal));
        Assert.Contains("Command was: CREATE USER MAPPING …", tail.ToString(), StringComparison.Ordinal);
        Assert.Contains("no such thing", tail.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_child_says_is_logged_line_by_line_and_a_line_without_end_in_pieces()
    {
        var log = new RecordingLog();
        var said = $"one\r\n\ntwo {new string('x', 3000)}\n{new string('y', 100_000)}\nlast";

        await new StderrTail("tool", log.Log).DrainAsync(new StreamReader(new MemoryStream(Encoding.UTF8.GetBytes(said))));

        var lines = log.Messages(LogEventLevel.Debug).Select(static m => m.Replace("\"", string.Empty, StringComparison.Ordinal)).ToList();
        Assert.Equal(["tool: one", $"tool: two {new string('x', 3000)}"], lines[..2]);
        Assert.Equal("tool: last", lines[^1]);
        Assert.Equal(100_000, lines[2..^1].Sum(static l => l.Count(static c => c == 'y')));
        Assert.All(lines, static l => Assert.InRange(l.Length, 1, 20_000));
    }

    [Fact]
    public async Task The_lines_of_a_child_that_succeeded_come_without_empty_and_cut_ones_and_not_without_limit()
    {
        async Task<IReadOnlyList<string>> LinesAsync(string said)
        {
            var tail = new StderrTail("tool", Logger.None);
            await tail.DrainAsync(new StreamReader(new MemoryStream(Encoding.UTF8.GetBytes(said))));
            return tail.Lines();
        }

        Assert.Empty(await LinesAsync("\n \r\n\n"));
        Assert.Equal(["one", "  two"], await LinesAsync("one\r\n\n  two"));
        Assert.Equal(["after"], await LinesAsync($"{new string('x', 65_536)} end of a long line\nafter\n"));
        var many = await LinesAsync(string.Concat(Enumerable.Range(0, 1000).Select(static i => $"line {i}\n")));
        Assert.Equal((100, "line 900", "line 999"), (many.Count, many[0], many[^1]));
        Assert.InRange(Assert.Single(await LinesAsync(new string('y', 20_000))).Length, 1000, 1100);
    }

    private sealed class EndlessLine(long bytes) : ReadOnlySource
    {
        private long _left = bytes;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var take = (int)Math.Min(buffer.Length, _left);
            buffer.Span[..take].Fill((byte)'x');
            _left -= take;
            return ValueTask.FromResult(take);
        }
    }

    private abstract class ReadOnlySource : ReadStage
    {
        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
