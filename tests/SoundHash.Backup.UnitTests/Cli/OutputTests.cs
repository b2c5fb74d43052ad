using Serilog;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Cli;

/// <summary>What people see.</summary>
public sealed class OutputTests
{
    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1.0 KiB")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(52_428_800, "50.0 MiB")]
    [InlineData(3_221_225_472, "3.0 GiB")]
    [InlineData(long.MaxValue, "8192.0 PiB")]
    public void Sizes_have_the_unit_that_people_read(long bytes, string text) => Assert.Equal(text, Sizes.Bytes(bytes));

    [Fact]
    public void A_result_for_a_closed_stdout_is_an_error_and_a_line_for_a_closed_stderr_is_not()
    {
        using var closed = new ClosedWriter();
        var terminal = new Terminal(closed, closed, noColor: true);

        terminal.ErrorLine("warning: x");
        var e = Assert.Throws<BackupException>(() => terminal.Line("result"));

        Assert.Equal(ErrorKind.Failed, e.Kind);
        Assert.Equal("can't write the result to stdout: it is closed", e.Message);
    }

    // As .NET's own writers do for a descriptor that can't be written to.
    private sealed class ClosedWriter : StringWriter
    {
        public override void WriteLine(string? value) => throw new UnauthorizedAccessException("Access to the path is denied.");
    }

    [Theory]
    [InlineData(0, "0.0 s")]
    [InlineData(59.9, "59.9 s")]
    [InlineData(60, "1:00 min")]
    [InlineData(3599, "59:59 min")]
    [InlineData(3600, "1:00:00 h")]
    [InlineData(360_061, "100:01:01 h")]
    public void Durations_have_the_unit_that_people_read(double seconds, string text) =>
        Assert.Equal(text, Sizes.Duration(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(-1, "in the future")]
    [InlineData(30, "30 s")]
    [InlineData(3600 * 3, "3 h")]
    [InlineData(3600 * 47, "47 h")]
    [InlineData(86_400 * 3, "3 d")]
    public void Ages_have_the_unit_that_people_read(double seconds, string text) =>
        Assert.Equal(text, Sizes.Age(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void Times_are_in_UTC_and_say_so() =>
        Assert.Equal("2026-11-22 01:30:00Z", Sizes.Time(new DateTimeOffset(2026, 11, 22, 2, 30, 0, TimeSpan.FromHours(1))));

    [Fact]
    public void A_table_is_aligned_by_its_widest_cells_and_has_no_blanks_at_the_end()
    {
        Assert.Equal(
            ["ID      STATE", "a       ok", "longer  DAMAGED"],
            TextTable.Lines(["ID", "STATE"], [["a", "ok"], ["longer", "DAMAGED"]]));
        Assert.Equal(["ID"], TextTable.Lines(["ID"], []));
    }

    [Fact]
    public void Enumerations_are_words_in_lower_case()
    {
        Assert.Equal(
            ["logical", "standard", "pre-data", "zstd", "none", "tool-missing"],
            [
                SetKind.Logical.Word(), Tier.Standard.Word(), ObjectRole.PreData.Word(), CompressionMethod.Zstd.Word(),
                EncryptionMethod.None.Word(), ErrorKind.ToolMissing.Word(),
            ]);
    }

    [Theory]
    [InlineData("plain ümlaut 日本 🙂", "plain ümlaut 日本 🙂")]
    [InlineData("\u001b[2Jgone\u009b1m\u007f", "?[2Jgone?1m?")]
    [InlineData("two\r\nlines\tand a tab", "two??lines?and a tab")]
    [InlineData("abc\u202egnp.exe\u2066", "abc?gnp.exe?")]
    public void A_line_has_nothing_in_it_that_steers_a_terminal(string text, string safe)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var terminal = new Terminal(output, error, noColor: true);

        terminal.Line(text);
        terminal.ErrorLine(text);

        Assert.Equal($"{safe}\n", output.ToString());
        Assert.Equal($"{safe}\n", error.ToString());
    }

    [Fact]
    public void A_document_keeps_its_lines_and_nothing_else_that_steers_a_terminal()
    {
        using var output = new StringWriter();

        new Terminal(output, TextWriter.Null, noColor: true).Document("{\n\t\"a\": 1\r\u001b\n}");

        Assert.Equal("{\n\t\"a\": 1??\n}\n", output.ToString());
    }

    [Fact]
    public void A_message_of_the_log_stays_in_its_line_whatever_is_in_it()
    {
        using var error = new StringWriter();
        var terminal = new Terminal(TextWriter.Null, error, noColor: true);
        using var log = new LoggerConfiguration().WriteTo.Sink(new TerminalSink(terminal)).CreateLogger();

        log.Warning("server said {Text:l}", "one\nerror: two\u001b[31m");

        Assert.Matches(@"^\d\d:\d\d:\d\d warning: server said one\?error: two\?\[31m\n$", error.ToString());
    }

    [Fact]
    public void An_error_is_one_line_and_its_hint_another()
    {
        using var error = new StringWriter();

        new Terminal(TextWriter.Null, error, noColor: true).ReportLines(
            new BackupException(ErrorKind.Failed, "it failed:\n  line 2\r\n", "try\nagain"));

        Assert.Equal("error: it failed: line 2\nhint: try again\n", error.ToString());
    }

    [Fact]
    public void A_terminal_that_is_gone_stops_nobody_but_a_result_that_can_not_be_written_is_an_error()
    {
        using var closed = new ClosedTerminal();

        new Terminal(TextWriter.Null, closed, noColor: true).ErrorLine("nobody reads this");
        Assert.Throws<BackupException>(() => new Terminal(closed, TextWriter.Null, noColor: true).Line("nobody gets this"));
    }

    [Theory]
    [InlineData(0, 0, 0, "0 B  0 B/s  0.0 s")]
    [InlineData(104_857_600, 10, 0, "100.0 MiB  10.0 MiB/s  10.0 s")]
    [InlineData(104_857_600, 10, 209_715_200, "[#####.....] about 50 %  100.0 MiB  10.0 MiB/s  10.0 s  about 10.0 s left")]
    [InlineData(104_857_600, 10, 52_428_800, "[#########.] about 99 %  100.0 MiB  10.0 MiB/s  10.0 s")]
    [InlineData(1_048_576, 10, 104_857_600, "[..........] about 1 %  1.0 MiB  102.4 KiB/s  10.0 s")]
    [InlineData(52_428_800, 2, 104_857_600, "[#####.....] about 50 %  50.0 MiB  25.0 MiB/s  2.0 s")]
    public void Progress_tells_rate_and_rest_and_is_never_done_before_it_is(long bytes, int seconds, long expected, string text) =>
        Assert.Equal(text, ProgressReporter.Describe(bytes, TimeSpan.FromSeconds(seconds), expected));

    [Theory]
    [InlineData(99, "[#####.....] about 50 %  100.0 MiB  10.0 MiB/s  10.0 s  about 10.0 s left")]
    [InlineData(70, "about 50 %  100.0 MiB  10.0 MiB/s  10.0 s  about 10.0 s left")]
    [InlineData(50, "about 50 %  100.0 MiB  10.0 s  about 10.0 s left")]
    [InlineData(-5, "about 50 %  100.0 MiB  10.0 s  about 10.0 s left")]
    public void On_a_narrow_terminal_progress_leaves_out_the_bar_first_and_then_the_rate(int width, string text) =>
        Assert.Equal(text, ProgressReporter.Describe(104_857_600, TimeSpan.FromSeconds(10), 209_715_200, width));

    [Fact]
    public void A_status_line_is_never_wider_than_the_terminal()
    {
        using var error = new StringWriter();
        var terminal = new Terminal(TextWriter.Null, error, noColor: true);

        terminal.Status(new string('x', 5000));

        Assert.Equal(new string('x', Terminal.StatusWidth), error.ToString());
        Assert.Equal(119, Terminal.ColumnsOf(static () => 120));
        Assert.Equal(79, Terminal.ColumnsOf(static () => 0));
        Assert.Equal(79, Terminal.ColumnsOf(static () => throw new IOException("Inappropriate ioctl for device")));
    }

    private sealed class ClosedTerminal : StringWriter
    {
        public override void WriteLine(string? value) => throw new IOException("Input/output error");
    }
}
