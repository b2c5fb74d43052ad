using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>
/// One verb in surroundings of its own, a cloud and perhaps a directory, which are laid out anew before every run. What is checked is
/// checked in the stores themselves, without the program.
/// </summary>
internal abstract class SweptRun : IAsyncDisposable
{
    protected SweptRun(PostgresCluster cluster, string database, SweptCloud cloud)
    {
        Cloud = cloud;
        Work = new Workspace(cluster, database).Set("BACKUP_STATE_DIR", "./state").Set("BACKUP_WAL_DIR", "./wal").Set("BACKUP_JOBS", "2");
        foreach (var (name, value) in cloud.Settings)
        {
            Work.Set(name, value);
        }
    }

    /// <summary>The store whose calls fail.</summary>
    public SweptCloud Cloud { get; }

    /// <summary>Exit codes of a run whose call was refused, besides 0.</summary>
    public virtual IReadOnlyList<int> Failures { get; } = [6];

    protected Workspace Work { get; }

    /// <summary>What is in the directories of the local store now.</summary>
    protected IReadOnlyDictionary<string, byte[]> LocalFiles => ((string[])["backups", "wal"])
        .Select(d => Path.Combine(Work.Folder, d)).Where(Directory.Exists)
        .SelectMany(static d => Directory.GetFiles(d, "*", SearchOption.AllDirectories))
        .ToDictionary(p => Path.GetRelativePath(Work.Folder, p), File.ReadAllBytes);

    /// <summary>Brings everything to where it was before the first run.</summary>
    public void Lay()
    {
        foreach (var name in (string[])["backups", "wal", "state"])
        {
            if (Directory.Exists(Path.Combine(Work.Folder, name)))
            {
                Directory.Delete(Path.Combine(Work.Folder, name), recursive: true);
            }
        }

        Cloud.Lay([]);
        LayOut();
    }

    /// <summary>Runs the verb.</summary>
    public abstract Task<CommandResult> RunAsync();

    /// <summary>After a run: what it said is true, nothing half is visible, and nothing that was good is lost.</summary>
    public abstract Task CheckAsync(CommandResult result);

    /// <summary>Runs again what a person or cron runs again.</summary>
    public virtual async Task RunAgainAsync() => (await RunAsync()).Expect(0);

    /// <summary>What must be the same in the end, whatever failed.</summary>
    public abstract string State();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        Work.Dispose();
        await Cloud.DisposeAsync();
    }

    /// <summary>What is there before the first run.</summary>
    protected virtual void LayOut()
    {
    }

    /// <summary>Puts files into the directories of the local store.</summary>
    protected void LayLocal(IEnumerable<SweptFile> files)
    {
        foreach (var file in files)
        {
            var path = Path.Combine(Work.Folder, file.Key);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, file.Bytes);
            File.SetLastWriteTimeUtc(path, file.Written.UtcDateTime);
        }
    }

    /// <summary>
    /// The ids of all sets that a store has a manifest of. Each of them has every object that the manifest names, byte for byte: there is no
    /// half set that could be taken for one.
    /// </summary>
    protected static IReadOnlyList<string> SetsOf(IReadOnlyDictionary<string, byte[]> files)
    {
        var ids = files.Keys.Select(static k => k.Split('/')).Where(static k => k is ["backups", "sets", _, "manifest.json"]).Select(static k => k[2]).Order(StringComparer.Ordinal).ToList();
        foreach (var id in ids)
        {
            foreach (var item in JsonNode.Parse(files[$"backups/sets/{id}/manifest.json"])!["objects"]!.AsArray())
            {
                var bytes = files.GetValueOrDefault($"backups/sets/{id}/{item!["key"]}");
                Assert.True(
                    bytes is not null && Sha256(bytes) == (string?)item["storedSha256"],
                    $"set {id} has a manifest, and its object {item["key"]} is {(bytes is null ? "missing" : "another")}");
            }

            Assert.True(files.ContainsKey($"backups/sets/{id}/SHA256SUMS"), $"set {id} has no SHA256SUMS");
        }

        return ids;
    }

    /// <summary>
    /// The segments of an archive. Each has its sum beside it, which is of the bytes that are stored and of the server's own segment.
    /// </summary>
    protected static IReadOnlyList<string> SegmentsOf(IReadOnlyDictionary<string, byte[]> files, SweptCluster cluster)
    {
        var segments = files.Where(static f => f.Key.StartsWith("wal/", StringComparison.Ordinal) && Path.GetFileName(f.Key).Length == 24).ToList();
        foreach (var (key, bytes) in segments)
        {
            var sum = Encoding.ASCII.GetString(files[$"{key}.sha256"]);
            Assert.Equal(Sha256(File.ReadAllBytes(Path.Combine(cluster.Waiting, "pg_wal", Path.GetFileName(key)))), sum[..64]);
            Assert.Contains($"# stored xxh128 {Convert.ToHexStringLower(XxHash128.Hash(bytes))}", sum, StringComparison.Ordinal);
        }

        return segments.Select(static s => Path.GetFileName(s.Key)).Order(StringComparer.Ordinal).ToList();
    }

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>The list shows these sets as good, and no others, and takes nothing for damaged.</summary>
    protected async Task ListsAsync(IEnumerable<string> ids, string from)
    {
        var sets = (await Work.JsonAsync(0, "backup", "list", "--from", from)).GetProperty("sets").EnumerateArray().ToList();
        Assert.Equal(ids.Order(StringComparer.Ordinal), sets.Select(static s => s.GetProperty("id").GetString()!).Order(StringComparer.Ordinal));
        Assert.All(sets, static s => Assert.True(s.GetProperty("complete").GetBoolean()));
    }

    /// <summary>
    /// Names and bytes of files, one a line. Of records that have the time of their making in them the name alone, and of WAL, which is
    /// compressed in one way or another and is looked at by itself; without what means nothing: an intent beside a manifest, and the object by
    /// which conditional writes were tried out.
    /// </summary>
    protected static string Describe(string store, IReadOnlyDictionary<string, byte[]> files) => string.Concat(files
        .Where(f => Path.GetFileName(f.Key) != ".shbackup-probe"
            && !(f.Key.EndsWith("/intent.json", StringComparison.Ordinal) && files.ContainsKey(f.Key.Replace("/intent.json", "/manifest.json", StringComparison.Ordinal))))
        .OrderBy(static f => f.Key, StringComparer.Ordinal)
        .Select(f => $"{store} {f.Key} {(HasTime(f.Key) || f.Key.StartsWith("wal/", StringComparison.Ordinal) ? "there" : Sha256(f.Value)[..16])}\n"));

    private static bool HasTime(string key) => Path.GetFileName(key) is "repository.json" or "keep.json" or "intent.json";

    /// <summary>The set that a run of backup says it made, or null.</summary>
    protected static string? SetOf(CommandResult result) => JsonDocument.Parse(result.Output).RootElement is var root
        && root.TryGetProperty("databases", out var databases) && databases[0].TryGetProperty("set", out var set) && set.ValueKind == JsonValueKind.Object
            ? set.GetProperty("id").GetString()
            : null;
}
