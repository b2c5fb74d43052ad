namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A cluster whose server is gone; its archive and one set are left, with rows 1 to 4 of which the first two are in the set.</summary>
public class LostCluster : ArchivingCluster
{
    /// <summary>The transaction that added row 3.</summary>
    public string ThirdXid { get; private set; } = string.Empty;

    /// <summary>A moment after that, and before row 4 came.</summary>
    public string ThirdTime { get; private set; } = string.Empty;

    public string Set { get; private set; } = string.Empty;

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await StartArchivingAsync(await MoreSettingsAsync());
        await ExecuteAsync("postgres", "CREATE TABLE rows AS SELECT generate_series(1, 2) AS id");
        Set = HistoryCluster.Id(await RunAsync("backup", "--kind", "physical", "--env-file", EnvFile, "--json"));
        ThirdXid = (await TextAsync("postgres", "INSERT INTO rows VALUES (3) RETURNING pg_current_xact_id()::text"))!;
        ThirdTime = (await TextAsync("postgres", "SELECT clock_timestamp()::text"))!;
        await ArchivedAsync(await SwitchWalAsync());
        await ExecuteAsync("postgres", "INSERT INTO rows VALUES (4)");
        await ArchivedAsync(await SwitchWalAsync());
        await RestoredServer.StopAsync(DataDirectory, "immediate");
    }

    /// <summary>Settings of shbackup besides the usual ones, and what they need.</summary>
    protected virtual Task<string[]> MoreSettingsAsync() => Task.FromResult<string[]>([]);
}

/// <summary>A lost cluster with settings of its own place, which what is restored from it elsewhere must not follow.</summary>
public sealed class SettledLostCluster : LostCluster
{
    // What an administrator may have set, and a restored server must not follow or be misread for: another directory, another log,
    // a clean-up of the archive, a delay.
    /// <inheritdoc/>
    public override string Settings => base.Settings + $"""
        data_directory = '{DataDirectory}'
        log_error_verbosity = verbose
        log_line_prefix = '%q%a LOG:  '
        archive_cleanup_command = 'touch "{Host}/cleaned"'
        recovery_end_command = 'touch "{Host}/cleaned"'
        recovery_min_apply_delay = '1d'
        hot_standby = off

        """;
}
