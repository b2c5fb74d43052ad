namespace SoundHash.Backup.Storage.S3;

/// <summary>Lets one at a time do something with a key; keys share a fixed number of gates.</summary>
internal sealed class KeyGates : IDisposable
{
    private readonly SemaphoreSlim[] _gates = [.. Enumerable.Range(0, 64).Select(static _ => new SemaphoreSlim(1))];

    /// <summary>Waits for the key; disposing what is returned lets the next one in.</summary>
    public async Task<IDisposable> EnterAsync(string key, CancellationToken cancel)
    {
        var gate = _gates[(uint)string.GetHashCode(key, StringComparison.Ordinal) % (uint)_gates.Length];
        await gate.WaitAsync(cancel);
        return new Passage(gate);
    }

    public void Dispose() => Array.ForEach(_gates, static g => g.Dispose());

    private sealed class Passage(SemaphoreSlim gate) : IDisposable
    {
        public void Dispose() => gate.Release();
    }
}
