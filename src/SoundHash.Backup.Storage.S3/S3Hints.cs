using Amazon.Runtime;

namespace SoundHash.Backup.Storage.S3;

/// <summary>What to do about an error that a store answered with.</summary>
internal sealed class S3Hints(S3Options options)
{
    public const string Network = "check that the store's address is right and reachable from here; a proxy comes from HTTPS_PROXY and NO_PROXY";

    public const string Name = "check the endpoint and region for a typing error, and that this machine resolves names: getent hosts <name>";

    public const string Tls =
        "check that the endpoint is the store's right name, and that its certificate's authority is among this machine's (update-ca-certificates)";

    public const string Credentials =
        "credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a web identity or the machine's role; aws sts get-caller-identity shows what is found";

    public const string NoRegion = "set the region of the bucket, or AWS_REGION";

    private const string Keys = "check the access key and its secret: they are not of this store, or one of them was copied wrong";

    private const string Clock = "this machine's clock is wrong: set it (timedatectl set-ntp true, or chronyc makestep), then run this again";

    private const string Token = "the session's credentials have run out: renew them (aws sso login, or the program that gives them) and run this again";

    private const string Full = "the store or its quota is full: make room (shbackup backup expire), or raise the quota";

    private const string Archived = "the object is in an archive class: restore it there first (aws s3api restore-object), then run this again";

    /// <summary>The hint for an error, or null where its message says it all.</summary>
    public string? For(AmazonServiceException e, S3Task task) => e.ErrorCode switch
    {
        "NoSuchBucket" => $"create the bucket {options.Bucket}, or set the right one; a bucket's name is also looked for in the wrong place when the endpoint is wrong",
        "ExpiredToken" or "ExpiredTokenException" or "TokenRefreshRequired" => Token,
        "InvalidAccessKeyId" or "SignatureDoesNotMatch" or "InvalidToken" or "InvalidClientTokenId" or "UnrecognizedClientException" => Keys,
        "RequestTimeTooSkewed" or "RequestExpired" or "RequestInTheFuture" => Clock,
        "PermanentRedirect" or "AuthorizationHeaderMalformed" or "IllegalLocationConstraintException" or "IncorrectEndpoint" or "TemporaryRedirect"
            => Region(e),
        "QuotaExceeded" or "InsufficientStorage" or "XMinioStorageFull" or "StorageFull" or "TooManyBuckets" => Full,
        "InvalidObjectState" => Archived,
        { } code when code.StartsWith("KMS", StringComparison.Ordinal) => "the key of the bucket or of BACKUP_S3_KMS_KEY can't be used: check that it is enabled, and the rights kms:GenerateDataKey and kms:Decrypt",
        _ => ByStatus((int)e.StatusCode, e, task),
    };

    private string? ByStatus(int status, AmazonServiceException e, S3Task task) => status switch
    {
        301 or 307 => Region(e),
        403 => Denied(task),
        401 => Keys,
        507 => Full,
        429 or 503 => "the store asks for fewer requests: run this again later, or with fewer at a time",
        _ => null,
    };

    // AWS says "the region 'us-east-1' is wrong; expecting 'eu-west-1'", or has it in a header.
    private string Region(AmazonServiceException e)
    {
        const string Expecting = "expecting '";
        var at = e.Message.IndexOf(Expecting, StringComparison.Ordinal);
        var right = at < 0 ? S3Errors.Header(e, "x-amz-bucket-region") : e.Message[(at + Expecting.Length)..].Split('\'')[0];
        return right is { Length: > 0 and < 64 }
            ? $"set the region to {right}"
            : $"the bucket {options.Bucket} is in another region: aws s3api get-bucket-location --bucket {options.Bucket} says in which, set that one";
    }

    private string Denied(S3Task task)
    {
        var right = task.Verb switch
        {
            "write" => $"s3:PutObject, s3:AbortMultipartUpload{(options.UsesTags ? ", s3:PutObjectTagging" : string.Empty)}{(!options.Locks ? string.Empty : ", s3:PutObjectRetention")}",
            "read" => "s3:GetObject, and s3:ListBucket to tell a missing object from a forbidden one",
            "list" => "s3:ListBucket",
            "delete" => "s3:DeleteObject",
            "lock" => "s3:GetObjectRetention and s3:PutObjectRetention",
            _ => "s3:ListBucketMultipartUploads, s3:ListMultipartUploadParts and s3:AbortMultipartUpload",
        };
        return $"these credentials need {right} on the bucket {options.Bucket}; when it is another account's, its own policy must allow it too";
    }
}
