namespace SoundHash.Backup.Storage.Gcs;

/// <summary>No token could be had.</summary>
/// <param name="cause">Why.</param>
public sealed class TokenFailure(Exception cause) : Exception(cause.Message, cause);

/// <summary>The tokens that requests are sent with.</summary>
internal interface IAccessTokens
{
    /// <summary>A token that is still good by its own word, or null to send none.</summary>
    Task<string?> GetAsync(CancellationToken cancel);

    /// <summary>Fetches a new one although the old one should still be good; false where that is impossible.</summary>
    Task<bool> RenewAsync(CancellationToken cancel);
}

/// <summary>For an emulator: none.</summary>
internal sealed class NoTokens : IAccessTokens
{
    public Task<string?> GetAsync(CancellationToken cancel) => Task.FromResult<string?>(null);

    public Task<bool> RenewAsync(CancellationToken cancel) => Task.FromResult(false);
}
