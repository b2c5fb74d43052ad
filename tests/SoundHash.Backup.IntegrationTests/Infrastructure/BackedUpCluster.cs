namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A cluster that archives, and has a physical set.</summary>
public sealed class BackedUpCluster : ArchivingCluster
{
    /// <summary>A segment that is archived, and that pg_wal still has.</summary>
    public string Segment { get; private set; } = string.Empty;

    /// <inheritdoc/>
    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await StartArchivingAsync();
        (await RunAsync("backup", "--kind", "physical", "--env-file", EnvFile)).Expect(0);
        Segment = await SwitchWalAsync();
        await ArchivedAsync(Segment);
    }
}
