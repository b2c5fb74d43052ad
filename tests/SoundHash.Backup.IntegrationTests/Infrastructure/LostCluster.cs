namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A cluster whose server is gone; its archive and one set are left, with rows 1 to 4 of which the first two are in the set.</summary>
public sealed class LostCluster : ArchivingCluster
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
        await StartArchivingAsync();
        await ExecuteAsync("postgres", "CREATE TABLE rows AS SELECT generate_series(1, 2) AS id");
        Set = HistoryCluster.Id(await RunAsync("backup", "--kind", "physical", "--env-file", EnvFile, "--json"));
        ThirdXid = (await TextAsync("postgres", "INSERT INTO rows VALUES (3) RETURNING pg_current_xact_id()::text"))!;
        ThirdTime = (await TextAsync("postgres", "SELECT clock_timestamp()::text"))!;
        await ArchivedAsync(await SwitchWalAsync());
        await ExecuteAsync("postgres", "INSERT INTO rows VALUES (4)");
        await ArchivedAsync(await SwitchWalAsync());
        await RestoredServer.StopAsync(DataDirectory, "immediate");
    }
}
