using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>A set as somebody with an editor, zstd and sha256sum sees it: changes it, and makes its hashes fit again.</summary>
public sealed class SetEditor
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public SetEditor(string folder)
    {
        Folder = folder;
        Manifest = JsonNode.Parse(File.ReadAllText(ManifestPath))!.AsObject();
    }

    /// <summary>The time of this machine.</summary>
    public static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public string Folder { get; }

    public string ManifestPath => Path.Combine(Folder, "manifest.json");

    public JsonObject Manifest { get; }

    public string this[string key] => Path.Combine(Folder, key);

    /// <summary>The manifest's record of the only, or first, object of a role.</summary>
    public JsonObject Object(string role) => Manifest["objects"]!.AsArray().Select(static o => o!.AsObject()).First(
        o => (string?)o["role"] == role);

    /// <summary>The name of the only, or first, object of a role.</summary>
    public string Key(string role) => (string)Object(role)["key"]!;

    /// <summary>Changes the contents of an unencrypted set; every recorded hash fits afterwards.</summary>
    public async Task ChangeContentsAsync(Action<JsonObject> change)
    {
        var path = this[Key("contents")];
        var plain = (await Command.ShellAsync($"zstd -dc '{path}'")).Output;
        var contents = JsonNode.Parse(plain)!.AsObject();
        change(contents);
        await ReplaceAsync("contents", contents.ToJsonString());
    }

    /// <summary>Replaces an unencrypted object's plain text; every recorded hash fits afterwards.</summary>
    public Task ReplaceAsync(string role, string plain) => ReplaceAsync(role, System.Text.Encoding.UTF8.GetBytes(plain));

    /// <summary>Replaces an unencrypted object's plain bytes; every recorded hash fits afterwards.</summary>
    public async Task ReplaceAsync(string role, byte[] plain)
    {
        var record = Object(role);
        var path = this[Key(role)];
        await File.WriteAllBytesAsync($"{path}.plain", plain);
        await Command.ShellAsync($"zstd -q -f '{path}.plain' -o '{path}'");
        record["plainBytes"] = new FileInfo($"{path}.plain").Length;
        record["plainXxHash128"] = Convert.ToHexStringLower(XxHash128.Hash(plain));
        File.Delete($"{path}.plain");
        Save();
    }

    /// <summary>Records sizes and hashes of the stored objects as they are now, and writes manifest and SHA256SUMS.</summary>
    public void Save()
    {
        foreach (
            var record in Manifest["objects"]!.AsArray().Select(static o => o!.AsObject()).Where(o => File.Exists(this[(string)o["key"]!])))
        {
            var path = this[(string)record["key"]!];
            record["storedBytes"] = new FileInfo(path).Length;
            record["storedSha256"] = Sha256(path);
        }

        File.WriteAllLines(this["SHA256SUMS"], Manifest["objects"]!.AsArray().Select(static o => $"{o!["storedSha256"]}  {o["key"]}"));
        SaveManifest();
    }

    /// <summary>Writes the manifest alone.</summary>
    public void SaveManifest() => File.WriteAllText(ManifestPath, WithChecksum(Manifest));

    /// <summary>A manifest's text with the checksum that fits it (docs/formats.md).</summary>
    public static string WithChecksum(JsonObject manifest)
    {
        manifest.Remove("sha256");
        var before = manifest.ToJsonString(Indented)[..^2] + ",\n";
        return $"{before}  \"sha256\": \"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(before)))}\"\n}}";
    }

    /// <summary>Says that the set was made at another time.</summary>
    public SetEditor Date(DateTimeOffset started)
    {
        Manifest["started"] = started.ToString("O");
        Manifest["stopped"] = started.AddMinutes(1).ToString("O");
        SaveManifest();
        return this;
    }

    /// <summary>Turns over one bit of a file.</summary>
    public static void FlipBit(string path, long at)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        file.Position = at;
        var value = file.ReadByte();
        file.Position = at;
        file.WriteByte((byte)(value ^ 1));
    }

    /// <summary>Turns over one bit in the middle of a file.</summary>
    public static void FlipBit(string path) => FlipBit(path, new FileInfo(path).Length / 2);

    public static void Cut(string path, long bytes)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Write);
        file.SetLength(bytes);
    }

    private static string Sha256(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }
}
