using System.Globalization;
using System.Security;
using System.Text;
using System.Xml.Linq;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>Uploads in parts of the scripted store.</summary>
internal sealed class ScriptedS3Uploads(ScriptedS3 s3)
{
    private readonly ScriptedS3Objects _objects = new(s3);
    private int _uploads;

    public ScriptedAnswer Handle(StoredBucket bucket, string key, ScriptedRequest request)
    {
        if (request.Argument("uploads") is not null)
        {
            return Begin(bucket, key, request);
        }

        if (!bucket.Uploads.TryGetValue(request.Argument("uploadId")!, out var upload) || upload.Key != key)
        {
            return ScriptedS3.Error(404, "NoSuchUpload", "The specified upload does not exist.");
        }

        switch (request.Method)
        {
            case "PUT":
                var etag = s3.ETagOf(request);
                upload.Parts[int.Parse(request.Argument("partNumber")!, CultureInfo.InvariantCulture)] = (request.Body, etag, s3.Now);
                return new ScriptedAnswer(200).With("ETag", etag);
            case "POST":
                return Complete(bucket, upload, request);
            case "DELETE":
                bucket.Uploads.Remove(upload.Id);
                return new ScriptedAnswer(204);
            default:
                return ListParts(upload, request);
        }
    }

    public ScriptedAnswer List(StoredBucket bucket, ScriptedRequest request)
    {
        var prefix = request.Argument("prefix") ?? string.Empty;
        var after = (request.Argument("key-marker") ?? string.Empty, request.Argument("upload-id-marker") ?? string.Empty);
        var found = bucket.Uploads.Values
            .Where(u => u.Key.StartsWith(prefix, StringComparison.Ordinal) && Compare((u.Key, u.Id), after) > 0)
            .Order(Comparer<StoredUpload>.Create(static (a, b) => Compare((a.Key, a.Id), (b.Key, b.Id)))).ToList();
        var page = found.Take(s3.PageSize).ToList();
        var text = new StringBuilder("<ListMultipartUploadsResult>");
        if (found.Count > page.Count)
        {
            text.Append(CultureInfo.InvariantCulture, $"<IsTruncated>true</IsTruncated><NextKeyMarker>{page[^1].Key}</NextKeyMarker><NextUploadIdMarker>{page[^1].Id}</NextUploadIdMarker>");
        }

        foreach (var one in page)
        {
            text.Append(CultureInfo.InvariantCulture, $"<Upload><Key>{SecurityElement.Escape(one.Key)}</Key><UploadId>{one.Id}</UploadId><Initiated>{Time(one.Begun)}</Initiated></Upload>");
        }

        return ScriptedAnswer.Of(200, text.Append("</ListMultipartUploadsResult>").ToString());
    }

    private ScriptedAnswer Begin(StoredBucket bucket, string key, ScriptedRequest request)
    {
        var id = string.Create(CultureInfo.InvariantCulture, $"upload{++_uploads:0000}");
        bucket.Uploads[id] = new StoredUpload(id, key, ScriptedS3Objects.KeptHeaders(request), s3.Now);
        return ScriptedAnswer.Of(200, $"<InitiateMultipartUploadResult><Bucket>{ScriptedS3.Bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
    }

    private ScriptedAnswer Complete(StoredBucket bucket, StoredUpload upload, ScriptedRequest request)
    {
        if (_objects.RefuseCondition(bucket, upload.Key, request) is { } refused)
        {
            return refused;
        }

        var asked = XDocument.Parse(request.Text).Root!.Elements().Select(static p => (
            Number: int.Parse(p.Elements().First(static e => e.Name.LocalName == "PartNumber").Value, CultureInfo.InvariantCulture),
            ETag: p.Elements().First(static e => e.Name.LocalName == "ETag").Value)).ToList();
        if (asked.Any(p => !upload.Parts.TryGetValue(p.Number, out var part) || part.ETag.Trim('"') != p.ETag.Trim('"')))
        {
            return ScriptedS3.Error(400, "InvalidPart", "One or more of the specified parts could not be found.");
        }

        var parts = asked.Select(p => upload.Parts[p.Number]).ToList();
        if (parts.SkipLast(1).Any(p => p.Bytes.Length < s3.SmallestPart))
        {
            return ScriptedS3.Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size");
        }

        var bytes = new StoredBytes(parts.ConvertAll(static p => p.Bytes));
        var version = new StoredVersion(upload.Key, bytes, Checksums.ETag(parts.ConvertAll(static p => p.ETag)), s3.Now) { Headers = upload.Headers };
        _objects.Add(bucket, version);
        bucket.Uploads.Remove(upload.Id);
        return ScriptedAnswer.Of(200, $"<CompleteMultipartUploadResult><Key>{upload.Key}</Key><ETag>{SecurityElement.Escape(version.ETag)}</ETag></CompleteMultipartUploadResult>");
    }

    private ScriptedAnswer ListParts(StoredUpload upload, ScriptedRequest request)
    {
        var after = int.Parse(request.Argument("part-number-marker") ?? "0", CultureInfo.InvariantCulture);
        var found = upload.Parts.Where(p => p.Key > after).Take(s3.PageSize + 1).ToList();
        var text = new StringBuilder("<ListPartsResult>");
        if (found.Count > s3.PageSize)
        {
            text.Append(CultureInfo.InvariantCulture, $"<IsTruncated>true</IsTruncated><NextPartNumberMarker>{found[^2].Key}</NextPartNumberMarker>");
        }

        foreach (var (number, part) in found.Take(s3.PageSize))
        {
            text.Append(CultureInfo.InvariantCulture, $"<Part><PartNumber>{number}</PartNumber><LastModified>{Time(part.At)}</LastModified><Size>{part.Bytes.Length}</Size></Part>");
        }

        return ScriptedAnswer.Of(200, text.Append("</ListPartsResult>").ToString());
    }

    private static int Compare((string Key, string Id) a, (string Key, string Id) b) =>
        string.CompareOrdinal(a.Key, b.Key) is not 0 and var byKey ? byKey : string.CompareOrdinal(a.Id, b.Id);

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
