using Google.Apis.Auth.OAuth2;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>
/// Tokens of credentials that Google's library finds, by default the application-default ones: the file that
/// GOOGLE_APPLICATION_CREDENTIALS names (service account, user, workload identity), gcloud's own, the machine's service account.
/// </summary>
/// <param name="find">Finds the credentials; asked once it succeeds.</param>
internal sealed class GoogleTokens(Func<CancellationToken, Task<GoogleCredential>> find) : IAccessTokens
{
    // Retention and metadata can be set with it as well; what the account really may do is the bucket's matter.
    private const string Scope = "https://www.googleapis.com/auth/devstorage.full_control";

    private volatile ICredential? _credential;

    public GoogleTokens()
        : this(static cancel => GoogleCredential.GetApplicationDefaultAsync(cancel))
    {
    }

    /// <inheritdoc/>
    public async Task<string?> GetAsync(CancellationToken cancel) =>
        await (await CredentialAsync(cancel)).GetAccessTokenForRequestAsync(authUri: null, cancel).WaitAsync(cancel);

    /// <inheritdoc/>
    public async Task<bool> RenewAsync(CancellationToken cancel) => await CredentialAsync(cancel) switch
    {
        ServiceCredential account => await account.RequestAccessTokenAsync(cancel).WaitAsync(cancel),
        UserCredential user => await user.RefreshTokenAsync(cancel).WaitAsync(cancel),
        _ => false,
    };

    // Two that find it at once find the same.
    private async Task<ICredential> CredentialAsync(CancellationToken cancel) =>
        _credential ??= (ICredential)(await find(cancel).WaitAsync(cancel)).CreateScoped(Scope).UnderlyingCredential;
}
