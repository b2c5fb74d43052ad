using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Small whole files in a store.</summary>
internal static class StoreFiles
{
    public static Task WriteAsync(
        this IObjectStore store, string key, ReadOnlyMemory<byte> bytes, WriteMode mode, CancellationToken cancel) =>
        store.WriteAsync(key, bytes, mode, ObjectAttributes.None, cancel);

    public static async Task WriteAsync(
        this IObjectStore store,
        string key,
        ReadOnlyMemory<byte> bytes,
        WriteMode mode,
        ObjectAttributes attributes,
        CancellationToken cancel)
    {
        await using var writer = await store.OpenWriteAsync(key, mode, attributes, cancel);
        await writer.WriteAsync(bytes, cancel);
        await writer.CompleteAsync(cancel);
    }

    public static Task WriteJsonAsync<T>(
        this IObjectStore store, string key, T value, JsonTypeInfo<T> type, WriteMode mode, CancellationToken cancel) =>
        store.WriteAsync(key, JsonSerializer.SerializeToUtf8Bytes(value, type), mode, cancel);

    /// <summary>Reads a whole object; null when it is missing.</summary>
    /// <exception cref="BackupException">It is larger than the limit.</exception>
    public static async Task<byte[]?> ReadAsync(this IObjectStore store, string key, int limit, CancellationToken cancel)
    {
        try
        {
            await using var source = await store.OpenReadAsync(key, 0, cancel);
            using var buffer = new MemoryStream();
            var chunk = new byte[16 * 1024];
            int read;
            while ((read = await source.ReadAsync(chunk, cancel)) > 0)
            {
                buffer.Write(chunk, 0, read);
                if (buffer.Length > limit)
                {
                    throw new BackupException(ErrorKind.Verification, $"object {key} in store {store.Name} is larger than {limit} bytes");
                }
            }

            return buffer.ToArray();
        }
        catch (ObjectMissingException)
        {
            return null;
        }
    }

    /// <summary>Reads a small JSON object; null when it is missing.</summary>
    /// <exception cref="BackupException">It is not the expected JSON.</exception>
    public static async Task<T?> ReadJsonAsync<T>(this IObjectStore store, string key, JsonTypeInfo<T> type, CancellationToken cancel)
        where T : class
    {
        if (await store.ReadAsync(key, ManifestFormat.MaxBytes, cancel) is not { } bytes)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(bytes, type) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new BackupException(
                ErrorKind.Verification, $"{key} in store {store.Name} is damaged: {e.Message}", "restore that file from another copy", e);
        }
    }
}
