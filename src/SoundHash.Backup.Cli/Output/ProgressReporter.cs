using System.Globalization;
using Serilog;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Cli.Output;

/// <summary>Shows how far a transfer is: a bar on a terminal, a line every ten seconds otherwise.</summary>
internal sealed class ProgressReporter : IAsyncDisposable
{
    // What the first bytes and seconds promise is off by hours; near the end, the expectation itself is not that exact.
    private const double FirstShare = 0.02, LastShare = 0.99;
    private static readonly TimeSpan FirstSeconds = TimeSpan.FromSeconds(3);

    // Short enough that a terminal of 80 columns shows all of it.
    private const int BarWidth = 10;

    private readonly Terminal _terminal;
    private readonly ILogger _log;
    private readonly string _verb;
    private readonly Func<long> _expected;
    private readonly TransferMeter _meter;
    private readonly Func<string?>? _instead;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    /// <param name="cli">Where to show it.</param>
    /// <param name="verb">What is going on, e.g. "backup".</param>
    /// <param name="meter">What is measured.</param>
    /// <param name="expected">Bytes expected in all, or 0 while unknown; an estimate.</param>
    /// <param name="instead">What to show when it is no transfer any more; null while it is one.</param>
    public ProgressReporter(CliSession cli, string verb, TransferMeter meter, Func<long> expected, Func<string?>? instead = null)
    {
        _instead = instead;
        _terminal = cli.Terminal;
        _log = cli.Log;
        _verb = verb;
        _expected = expected;
        _meter = meter;
        _loop = LoopAsync(cli.Time);
    }

    /// <summary>Shows on a terminal what goes on now, without waiting for its turn: the beginning of something else.</summary>
    public void ShowNow()
    {
        if (_terminal.IsInteractive && _instead?.Invoke() is { } other)
        {
            _terminal.Status(other);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _terminal.Status(string.Empty);
        _stop.Dispose();
    }

    private async Task LoopAsync(TimeProvider time)
    {
        using var timer = new PeriodicTimer(_terminal.IsInteractive ? TimeSpan.FromMilliseconds(250) : TimeSpan.FromSeconds(10), time);
        while (await timer.WaitForNextTickAsync(_stop.Token))
        {
            if (_instead?.Invoke() is { } other)
            {
                Show(other);
            }
            else if (_terminal.IsInteractive)
            {
                var width = Terminal.StatusWidth - _verb.Length - 1;
                _terminal.Status($"{_verb} {Describe(_meter.Bytes, _meter.Elapsed, _expected(), width)}");
            }
            else
            {
                _log.Information("{Verb} {Progress}", _verb, Describe(_meter.Bytes, _meter.Elapsed, _expected()));
            }
        }
    }

    private void Show(string text)
    {
        if (_terminal.IsInteractive)
        {
            _terminal.Status(text);
        }
        else
        {
            _log.Information("{Progress:l}", text);
        }
    }

    /// <summary>What is shown: how much, how fast, how long, and where the size is known about how much is left.</summary>
    /// <param name="bytes">Bytes so far.</param>
    /// <param name="elapsed">Time so far.</param>
    /// <param name="expected">Bytes expected in all, or 0.</param>
    /// <param name="width">Columns that there are: what helps least goes first, the bar, then the rate.</param>
    internal static string Describe(long bytes, TimeSpan elapsed, long expected, int width = int.MaxValue)
    {
        var rate = elapsed.TotalSeconds > 0 ? bytes / elapsed.TotalSeconds : 0;
        var done = Sizes.Bytes(bytes);
        var perSecond = $"{Sizes.Bytes((long)rate)}/s";
        var time = Sizes.Duration(elapsed);
        if (expected <= 0 || rate <= 0)
        {
            return Fitting(width, [$"{done}  {perSecond}  {time}", $"{done}  {time}"]);
        }

        // The estimate comes from the size on disk and is never shown as done before it is.
        var share = Math.Min((double)bytes / expected, LastShare);
        var left = share is < FirstShare or >= LastShare || elapsed < FirstSeconds
            ? string.Empty
            : $"  about {Sizes.Duration(TimeSpan.FromSeconds((expected - bytes) / rate))} left";
        var filled = (int)(share * BarWidth);
        var bar = $"[{new string('#', filled)}{new string('.', BarWidth - filled)}]";
        var part = string.Create(CultureInfo.InvariantCulture, $"about {share:P0}");
        return Fitting(
            width,
            [
                $"{bar} {part}  {done}  {perSecond}  {time}{left}",
                $"{part}  {done}  {perSecond}  {time}{left}",
                $"{part}  {done}  {time}{left}",
            ]);
    }

    private static string Fitting(int width, IReadOnlyList<string> longestFirst) =>
        longestFirst.FirstOrDefault(t => t.Length <= width) ?? longestFirst[^1];
}
