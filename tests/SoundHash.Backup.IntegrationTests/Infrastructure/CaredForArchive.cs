using System.Text.Json;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>The archive of a real server, with a base backup and a few segments behind it, for the verbs that look after it.</summary>
public sealed class CaredForArchive : IAsyncLifetime
{
    public ArchivedCluster Cluster { get; } = new();

    /// <summary>The folder of the first timeline.</summary>
    public string Folder { get; private set; } = null!;

    /// <summary>The first segment that the base backup needs.</summary>
    public string First { get; private set; } = null!;

    /// <summary>The archived segments, in order.</summary>
    public IReadOnlyList<string> Segments { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await Cluster.InitializeAsync();
        await Cluster.SwitchWalAsync();
        (First, _) = await HandMadeSet.AddAsync(Cluster, "base", SetEditor.Now);
        var last = string.Empty;
        for (var i = 0; i < 4; i++)
        {
            last = await Cluster.SwitchWalAsync();
        }

        await Cluster.ArchivedAsync(last);
        Folder = Path.Combine(await Cluster.ArchiveOfClusterAsync(), "00000001");
        Segments = SegmentsThere();
    }

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();

    /// <summary>The segments that are archived now, in order.</summary>
    public IReadOnlyList<string> SegmentsThere() =>
        Directory.GetFiles(Folder).Select(static p => Path.GetFileName(p)).Where(static n => n.Length == 24).Order(StringComparer.Ordinal).ToList();

    /// <summary>The segment that comes after the first that the base backup needs.</summary>
    public string AfterFirst => Segments.SkipWhile(s => s != First).ElementAt(1);

    public Task<CommandResult> RunAsync(params string[] arguments) =>
        Cluster.RunAsync(["wal-archive", .. arguments, "--env-file", Cluster.EnvFile]);

    public async Task<JsonElement> JsonAsync(int exitCode, params string[] arguments)
    {
        var result = (await RunAsync([.. arguments, "--json"])).Expect(exitCode);
        using var document = JsonDocument.Parse(result.Output);
        return document.RootElement.Clone();
    }

    /// <summary>The only cluster of a document.</summary>
    public static JsonElement ClusterIn(JsonElement document) => Assert.Single(document.GetProperty("clusters").EnumerateArray());

    /// <summary>Loses a segment.</summary>
    public void Remove(string segment)
    {
        File.Delete(Path.Combine(Folder, segment));
        File.Delete(Path.Combine(Folder, $"{segment}.sha256"));
    }

    /// <summary>Makes files of the first timeline as old as fifty days.</summary>
    public void MakeOld(Func<string, bool> which)
    {
        foreach (var path in Directory.GetFiles(Folder).Where(p => which(Path.GetFileName(p))))
        {
            File.SetLastWriteTimeUtc(path, SetEditor.Now.UtcDateTime.AddDays(-50));
        }
    }

    /// <summary>Says that a set was made at another time.</summary>
    public async Task ReDateAsync(string id, DateTimeOffset started) =>
        await ArchivingCluster.GiveToPostgresAsync(new SetEditor(SetFolder(id)).Date(started).Folder);

    /// <summary>The folder of a set.</summary>
    public string SetFolder(string id) => Path.Combine(Cluster.Site, "backups", "sets", id);

    /// <summary>Adds lines to the settings.</summary>
    public void Set(params string[] lines) => File.AppendAllLines(Cluster.EnvFile, lines);

    /// <summary>What is archived from now on is encrypted with age.</summary>
    /// <returns>The file of the identity, which belongs to PostgreSQL's user.</returns>
    public async Task<string> EncryptAsync()
    {
        var identity = Path.Combine(Cluster.Site, "identity.txt");
        var recipient = (await Command.ShellAsync($"age-keygen -o \"{identity}\" 2>/dev/null && age-keygen -y \"{identity}\"")).Expect(0).Output.Trim();
        await ArchivingCluster.GiveToPostgresAsync(identity);
        Set("BACKUP_ENCRYPTION_ENABLED=true", "BACKUP_ENCRYPTION_METHOD=age", $"BACKUP_ENCRYPTION_KEY={recipient}");
        return identity;
    }
}
