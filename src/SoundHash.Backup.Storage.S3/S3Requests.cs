using Amazon.S3;
using Amazon.S3.Model;

namespace SoundHash.Backup.Storage.S3;

/// <summary>Makes the requests that begin objects, with all that a store is to be told about them.</summary>
/// <param name="options">The store.</param>
/// <param name="key">The object's name in the bucket.</param>
/// <param name="attributes">What is to be told.</param>
internal sealed class S3Requests(S3Options options, string key, ObjectAttributes attributes)
{
    /// <summary>The object's metadata that says which write made it.</summary>
    public const string WriteIdName = "shbackup-write";

    /// <summary>Told apart by it: whether an object that is there all of a sudden is of this very write.</summary>
    public string WriteId { get; } = Guid.NewGuid().ToString("n");

    private bool IsKms => options.Encryption is S3Encryption.Kms;

    /// <summary>Of a whole object.</summary>
    public PutObjectRequest Put(PartBody body, bool onlyNew, Action moved)
    {
        var request = new PutObjectRequest
        {
            BucketName = options.Bucket,
            Key = key,
            InputStream = body.Open(moved),
            MD5Digest = body.Md5Base64,
            IfNoneMatch = onlyNew ? "*" : null,
            ContentType = "application/octet-stream",
            StorageClass = StorageClass(),
            ServerSideEncryptionMethod = EncryptionMethod(),
            ServerSideEncryptionKeyManagementServiceKeyId = IsKms ? options.KmsKey : null,
            TagSet = Tags(),
            ObjectLockMode = LockMode(),
            ObjectLockRetainUntilDate = LockUntil(),
            // Strict stores know no framing within the body.
            UseChunkEncoding = false,
            // TLS and Content-MD5 guard it; without TLS the SDK signs the payload.
            DisablePayloadSigning = IsTls ? true : null,
            DisableDefaultChecksumValidation = true,
        };
        request.Metadata[WriteIdName] = WriteId;
        request.Headers.ContentLength = body.Length;
        return request;
    }

    /// <summary>Of an upload in parts.</summary>
    public InitiateMultipartUploadRequest Begin()
    {
        var request = new InitiateMultipartUploadRequest
        {
            BucketName = options.Bucket,
            Key = key,
            ContentType = "application/octet-stream",
            StorageClass = StorageClass(),
            ServerSideEncryptionMethod = EncryptionMethod(),
            ServerSideEncryptionKeyManagementServiceKeyId = IsKms ? options.KmsKey : null,
            TagSet = Tags(),
            ObjectLockMode = LockMode(),
            ObjectLockRetainUntilDate = LockUntil(),
        };
        request.Metadata[WriteIdName] = WriteId;
        return request;
    }

    /// <summary>Of one part.</summary>
    public UploadPartRequest Part(string uploadId, int number, PartBody body, Action moved) => new()
    {
        BucketName = options.Bucket,
        Key = key,
        UploadId = uploadId,
        PartNumber = number,
        InputStream = body.Open(moved),
        PartSize = body.Length,
        MD5Digest = body.Md5Base64,
        UseChunkEncoding = false,
        DisablePayloadSigning = IsTls ? true : null,
        DisableDefaultChecksumValidation = true,
    };

    /// <summary>Of an object from its parts.</summary>
    public CompleteMultipartUploadRequest Complete(string uploadId, List<PartETag> parts, bool onlyNew) => new()
    {
        BucketName = options.Bucket,
        Key = key,
        UploadId = uploadId,
        PartETags = parts,
        IfNoneMatch = onlyNew ? "*" : null,
    };

    /// <summary>Of giving an upload up.</summary>
    public AbortMultipartUploadRequest Abort(string uploadId) => new() { BucketName = options.Bucket, Key = key, UploadId = uploadId };

    private bool IsTls => options.Endpoint is null || options.Endpoint.Scheme == Uri.UriSchemeHttps;

    private S3StorageClass? StorageClass()
    {
        var ofTier = attributes.Tier is { } tier ? options.StorageClasses.GetValueOrDefault(tier) : null;
        return (ofTier ?? options.StorageClass) is { } name ? S3StorageClass.FindValue(name) : null;
    }

    private ServerSideEncryptionMethod? EncryptionMethod() => options.Encryption switch
    {
        S3Encryption.Aes256 => ServerSideEncryptionMethod.AES256,
        S3Encryption.Kms => ServerSideEncryptionMethod.AWSKMS,
        _ => null,
    };

    private List<Tag>? Tags()
    {
        if (!options.UsesTags)
        {
            return null;
        }

        var tags = new (string Name, string? Value)[] { ("tier", attributes.Tier), ("kind", attributes.Kind), ("cluster", options.Cluster) }
            .Where(static t => t.Value is not null)
            .Select(static t => new Tag { Key = t.Name, Value = t.Value })
            .ToList();
        return tags.Count == 0 ? null : tags;
    }

    private ObjectLockMode? LockMode() => S3Locks.ModeOf(options.LockOf(attributes));

    private DateTime? LockUntil() => LockMode() is null ? null : attributes.RetainUntil?.UtcDateTime;
}
