using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>A file of the archive as a store lists it.</summary>
/// <param name="Name">PostgreSQL's name of it.</param>
/// <param name="StoredBytes">Its size as stored.</param>
/// <param name="Stored">When it was stored, by the store's clock.</param>
/// <param name="HasSum">The file that decides its content is there.</param>
public sealed record WalEntry(WalFileName Name, long StoredBytes, DateTimeOffset Stored, bool HasSum);
