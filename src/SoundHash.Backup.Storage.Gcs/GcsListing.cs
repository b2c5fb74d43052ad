using System.Runtime.CompilerServices;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>Lists objects, page after page.</summary>
internal sealed class GcsListing(GcsCalls calls)
{
    private const string Fields = "nextPageToken,items(name,size,timeCreated)";

    /// <summary>All objects whose key begins with a prefix. What another tool has put there under a name that is no key is passed over.</summary>
    public async IAsyncEnumerable<ObjectInfo> ObjectsAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        var task = new GcsTask("list", prefix);
        string? next = null;
        do
        {
            var page = await PageAsync(task, next, cancel);
            foreach (var item in page.Items ?? [])
            {
                // Only what was asked for is trusted: a key outside would be another one's.
                if (item.Name is { } name
                    && name.StartsWith(calls.Options.Root + prefix, StringComparison.Ordinal)
                    && name[calls.Options.Root.Length..] is var key
                    && ObjectKey.IsValid(key))
                {
                    yield return GcsObjects.Describe(key, item);
                }
            }

            // Else a store that repeats itself would be listed for ever.
            next = page.NextPageToken is { Length: > 0 } token && token == next
                ? throw calls.Errors.Failed(task, "the store says twice that the same page comes next", "run this again")
                : page.NextPageToken;
        }
        while (!string.IsNullOrEmpty(next));
    }

    private Task<GcsPage> PageAsync(GcsTask task, string? page, CancellationToken cancel)
    {
        var from = page is null ? string.Empty : $"&pageToken={Uri.EscapeDataString(page)}";
        var query = $"prefix={Uri.EscapeDataString(calls.Options.Root + task.Key)}&maxResults=1000&fields={Uri.EscapeDataString(Fields)}{from}";
        return calls.RepeatAsync(
            (_, token) => calls.JsonOnceAsync(
                task, () => new HttpRequestMessage(HttpMethod.Get, calls.ListUri(query)), GcsJson.Default.GcsPage, token),
            cancel);
    }
}
