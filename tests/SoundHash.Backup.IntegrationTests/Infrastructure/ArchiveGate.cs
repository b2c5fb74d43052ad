namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>Lets PostgreSQL archive nothing until the test opens it, so that a physical backup has all but its last WAL.</summary>
internal sealed class ArchiveGate : IDisposable
{
    private readonly string _gate;

    private ArchiveGate(string gate) => _gate = gate;

    /// <summary>Closes it, and waits until PostgreSQL's archiver stands there.</summary>
    public static async Task<ArchiveGate> CloseAsync(ArchivingCluster cluster)
    {
        var (gate, reached) = (Path.Combine(cluster.Host, "gate"), Path.Combine(cluster.Host, "reached"));
        var command = await cluster.TextAsync("postgres", "SHOW archive_command");
        await File.WriteAllTextAsync(gate, string.Empty, TestContext.Current.CancellationToken);
        var closed = new ArchiveGate(gate);
        await cluster.SetArchiveCommandAsync($"touch {reached}; while [ -e {gate} ]; do sleep 0.02; done; {command}");
        await cluster.SwitchUntilAsync(() => File.Exists(reached), "PostgreSQL's archiver stands at the gate");
        return closed;
    }

    /// <summary>Lets it go on, now and from now on.</summary>
    public void Open() => File.Delete(_gate);

    // A server that is ended waits for its archiver.
    public void Dispose() => Open();
}
