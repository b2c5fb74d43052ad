using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.UnitTests.Restores;

/// <summary>Files without a manifest.</summary>
public sealed class BareFileTests
{
    [Fact]
    public async Task Verifying_a_script_before_a_database_is_dropped_is_measured_and_so_held_to_the_rate()
    {
        using var folder = new TempFolder();
        var path = folder["dump.sql"];
        await File.WriteAllTextAsync(path, new string('-', 3_000_000) + "\n", TestContext.Current.CancellationToken);
        var log = new RecordingLog();
        var meter = new TransferMeter(TimeProvider.System);

        await using var file = await BareFile.OpenAsync(
            path, static _ => throw new InvalidOperationException("plain"), TestContext.Current.CancellationToken);
        await file.VerifyAsync(
            new PgTools("/nowhere", 15, "15.0"),
            new ProcessLauncher(log.Log),
            meter,
            static _ => throw new InvalidOperationException("plain"),
            TestContext.Current.CancellationToken);

        Assert.Equal(3_000_001, meter.Bytes);
    }
}
