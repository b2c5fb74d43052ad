using Google.Apis.Auth.OAuth2.Responses;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>What to do about an error.</summary>
internal sealed class GcsHints(GcsOptions options)
{
    public const string Network = "check that the store's address is right and reachable from here; a proxy comes from HTTPS_PROXY and NO_PROXY";

    public const string Name = "check the endpoint for a typing error, and that this machine resolves names: getent hosts storage.googleapis.com";

    public const string Tls =
        "check that the endpoint is the store's right name, and that its certificate's authority is among this machine's (update-ca-certificates)";

    public const string Credentials =
        "credentials come from the file that GOOGLE_APPLICATION_CREDENTIALS names, from gcloud auth application-default login, or from the machine's service account";

    private const string Token = "the store does not take the token of these credentials: check that the account or key still exists and is enabled";

    private const string Clock = "this machine's clock is wrong: set it (timedatectl set-ntp true, or chronyc makestep), then run this again";

    private const string Key = "the key is not (or no longer) one of the service account: make a new one, and let GOOGLE_APPLICATION_CREDENTIALS name its file";

    private const string Login = "the login has run out or was revoked: gcloud auth application-default login, or a key of a service account";

    private const string Retention = "objects can be locked only in a bucket with object retention: gcloud storage buckets create --enable-per-object-retention";

    /// <summary>For a bucket that does not exist.</summary>
    public string NoBucket => $"create the bucket (gcloud storage buckets create gs://{options.Bucket}), or set the right one";

    /// <summary>For a refused token.</summary>
    public static string ForToken(TokenResponseException e)
    {
        var text = e.Error?.ErrorDescription ?? string.Empty;
        if (e.Error?.Error is not "invalid_grant")
        {
            return Credentials;
        }

        if (text.Contains("short-lived", StringComparison.OrdinalIgnoreCase) || text.Contains("timeframe", StringComparison.OrdinalIgnoreCase))
        {
            return Clock;
        }

        var isOfKey = text.Contains("JWT", StringComparison.OrdinalIgnoreCase) || text.Contains("account not found", StringComparison.OrdinalIgnoreCase);
        return isOfKey ? Key : Login;
    }

    /// <summary>The hint for a refusal, or null where its message says it all.</summary>
    public string? For(GcsRefusal e, GcsTask task) => e.Reason switch
    {
        "quotaExceeded" or "dailyLimitExceeded" or "storageQuotaExceeded" => "a quota of the project is used up: raise it (console, IAM and quotas), or wait until it is renewed",
        "accountDisabled" or "billingNotEnabled" or "accountDisabledForBilling" => "the project's billing is off: turn it on again",
        _ => ByStatus((int)e.Status, e, task),
    };

    private string? ByStatus(int status, GcsRefusal e, GcsTask task) => status switch
    {
        401 => Token,
        403 when e.Message.Contains("kms", StringComparison.OrdinalIgnoreCase) =>
            "the storage service account of the project needs roles/cloudkms.cryptoKeyEncrypterDecrypter on the key: gcloud storage service-agent --authorize-cmek",
        403 => Denied(task),
        400 or 412 when e.Message.Contains("retention", StringComparison.OrdinalIgnoreCase) => Retention,
        404 or 410 when task.Verb == "write" => "the upload session has ended before its time: run this again",
        429 or 503 => "the store asks for fewer requests: run this again later, or with fewer at a time",
        _ => null,
    };

    private string Denied(GcsTask task)
    {
        var right = task.Verb switch
        {
            "write" when !options.Locks => "storage.objects.create, and storage.objects.delete where an object is replaced",
            "write" => "storage.objects.create and storage.objects.setRetention, and storage.objects.delete where an object is replaced",
            "read" => "storage.objects.get, and storage.objects.list to tell a missing object from a forbidden one",
            "list" => "storage.objects.list",
            "delete" => "storage.objects.delete",
            _ => "storage.objects.get, storage.objects.update and storage.objects.setRetention",
        };
        return $"these credentials need {right} on the bucket {options.Bucket}";
    }
}
