using System.Text;
using System.Text.Json;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Reading sets back. What needs real archives is tested with a real server.</summary>
public sealed class SetVerifierTests : IDisposable
{
    private static readonly byte[] Dump = NewRandom().Noise(200_000);
    private static readonly byte[] Globals = "CREATE ROLE alice;"u8.ToArray();

    private readonly TempFolder _folder = new();
    private readonly LocalObjectStore _store;

    public SetVerifierTests() => _store = new LocalObjectStore(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_set_as_it_was_written_has_no_problems()
    {
        var result = await VerifyAsync(await AddAsync());

        Assert.Empty(result.Problems);
        Assert.Equal(Dump.Length + Globals.Length, result.StoredBytes);
    }

    [Fact]
    public async Task A_flipped_bit_is_found_and_told_by_its_object()
    {
        var manifest = await AddAsync();
        await ChangeAsync("database.dump", static b => b[100_000] ^= 1);

        var problem = Assert.Single((await VerifyAsync(manifest)).Problems);
        Assert.StartsWith("object database.dump of set s has SHA-256 ", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_truncated_a_longer_and_a_missing_object_are_found()
    {
        var manifest = await AddAsync();

        await File.WriteAllBytesAsync(Path("database.dump"), Dump[..^1], Cancel);
        Assert.Contains(
            "has 199999 bytes where 200000 were recorded",
            Assert.Single((await VerifyAsync(manifest)).Problems),
            StringComparison.Ordinal);

        await File.WriteAllBytesAsync(Path("database.dump"), [.. Dump, 0], Cancel);
        Assert.Contains(
            "is longer than the recorded 200000 bytes",
            Assert.Single((await VerifyAsync(manifest)).Problems),
            StringComparison.Ordinal);

        File.Delete(Path("database.dump"));
        Assert.Contains(
            "object sets/s/database.dump is missing",
            Assert.Single((await VerifyAsync(manifest)).Problems),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_problems_of_a_set_are_found_at_once()
    {
        var manifest = await AddAsync();
        File.Delete(Path("globals.sql"));
        await ChangeAsync("database.dump", static b => b[0] ^= 1);
        await File.AppendAllTextAsync(Path("SHA256SUMS"), $"{new string('0', 64)}  other\n", Cancel);

        Assert.Equal(3, (await VerifyAsync(manifest)).Problems.Count);
    }

    [Fact]
    public async Task Sums_that_differ_from_the_manifest_or_are_missing_are_found()
    {
        var manifest = await AddAsync();
        await File.WriteAllTextAsync(Path("SHA256SUMS"), $"{manifest.Objects[0].StoredSha256}  {manifest.Objects[0].Key}\n", Cancel);
        Assert.Equal(["SHA256SUMS of set s differs from its manifest"], (await VerifyAsync(manifest)).Problems);

        File.Delete(Path("SHA256SUMS"));
        Assert.Equal(["SHA256SUMS of set s is missing"], (await VerifyAsync(manifest)).Problems);
    }

    [Fact]
    public async Task A_table_that_no_archive_holds_is_found_in_depth()
    {
        var contents = new Contents
        {
            Database = TestContents.Properties(),
            Tables =
            [
                TestContents.Table("videos", rows: 7), TestContents.Table(
                    "view",
                    RelationKind.MaterializedView,
                    rows: 7), TestContents.Table("parent", RelationKind.Partitioned),
                TestContents.Table("ext", rows: 7) with { OfExtension = true },
            ],
            Roles = [],
            Extensions = [],
            RolePasswords = true,
        };
        var manifest = await AddContentsAsync(JsonSerializer.SerializeToUtf8Bytes(contents, RepositoryJson.Default.Contents));

        var result = await Verifier().VerifyDeepAsync(manifest, new PgTools("/nonexistent", 15, "15.1"), NoProviders, 2, Cancel);

        Assert.Equal(["table \"public\".\"videos\" is in the contents and in no archive of the set"], result.Problems);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{\"tables\": null}")]
    [InlineData("[]")]
    public async Task Contents_that_can_not_be_read_are_damage(string text)
    {
        var manifest = await AddContentsAsync(Encoding.UTF8.GetBytes(text));

        var e = await Assert.ThrowsAsync<BackupException>(() => SetVerifier.ReadContentsAsync(_store, manifest, NoProviders, Cancel));

        Assert.Equal(ErrorKind.Verification, e.Kind);
        Assert.StartsWith("the contents of set s can't be read", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Contents_that_claim_to_be_enormous_are_not_read()
    {
        var manifest = await AddContentsAsync("{}"u8.ToArray());
        manifest = manifest with { Objects = [manifest.Objects[0] with { PlainBytes = 1L << 40 }] };

        var e = await Assert.ThrowsAsync<BackupException>(() => SetVerifier.ReadContentsAsync(_store, manifest, NoProviders, Cancel));

        Assert.Contains("too large", e.Message, StringComparison.Ordinal);
    }

    private static IEncryptionProvider NoProviders(EncryptionMethod method) => throw new InvalidOperationException("nothing is encrypted here");

    private SetVerifier Verifier() => new(_store, Children.Launcher, new TransferMeter(TimeProvider.System));

    private Task<VerificationResult> VerifyAsync(Manifest manifest) => Verifier().VerifyStoredAsync(manifest, 2, Cancel);

    private Task<Manifest> AddAsync() => _store.AddSetAsync(
        TestSets.Manifest(
            "s",
            null,
            "soundhash",
            TestSets.Record("database.dump", Dump),
            TestSets.Record("globals.sql", Globals, ObjectRole.Globals)), Dump, Globals);

    private Task<Manifest> AddContentsAsync(byte[] bytes) =>
        _store.AddSetAsync(TestSets.Manifest("s", null, "soundhash", TestSets.Record("contents.json", bytes, ObjectRole.Contents)), bytes);

    private string Path(string name) => _folder[$"sets/s/{name}"];

    private async Task ChangeAsync(string name, Action<byte[]> change)
    {
        var bytes = await File.ReadAllBytesAsync(Path(name), Cancel);
        change(bytes);
        await File.WriteAllBytesAsync(Path(name), bytes, Cancel);
    }
}
