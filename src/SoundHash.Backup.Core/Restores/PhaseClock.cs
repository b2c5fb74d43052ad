namespace SoundHash.Backup.Restores;

/// <summary>Times the phases of a restore.</summary>
internal sealed class PhaseClock(TimeProvider time)
{
    private readonly List<RestorePhase> _phases = [];

    public IReadOnlyList<RestorePhase> Phases => _phases;

    public async Task RunAsync(string name, Func<Task> phase)
    {
        var started = time.GetTimestamp();
        await phase();
        _phases.Add(new RestorePhase(name, time.GetElapsedTime(started).TotalSeconds));
    }
}
