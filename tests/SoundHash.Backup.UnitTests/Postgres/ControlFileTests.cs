using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.UnitTests.Postgres;

public sealed class ControlFileTests : IDisposable
{
    // global/pg_control of a PostgreSQL 15 on x86-64, without the zeros that fill it up to 8192 bytes; the last four are its checksum.
    private const string Fifteen =
        "dec7eb7844b9066b1405000025770d0c06000000000000009bc2066b00000000289a7f3800000000f0997f3800000000" +
        "010000000100000001000000000000001e5a010000000000006000000100000000000000cc0200000500000001000000" +
        "00400000000000008dc1066b0000000000000000000000001e5a010000000000e8030000000000000000000000000000" +
        "00000000000000000000000000000000000000000000000000000000010000000000000064000000080000000a000000" +
        "000000004000000000000000080000000000000087d63241002000000000020000200000000000014000000020000000" +
        "cc0700000008000001000000000000006505bff353e7040e8deacb6f7066049b99df0f253c7a5ad664526f5fa7a7b475" +
        "f3b72bdd";

    private readonly TempFolder _folder = new();

    [Fact]
    public void A_whole_copy_is_known() => Assert.True(ControlFile.IsWhole(Bytes()));

    [Fact]
    public void Every_single_flipped_byte_is_noticed()
    {
        var bytes = Bytes();
        for (var at = 0; at < Fifteen.Length / 2; at++)
        {
            foreach (var flip in (byte[])[0x01, 0x80, 0xFF])
            {
                bytes[at] ^= flip;
                Assert.False(ControlFile.IsWhole(bytes), $"byte {at} was flipped by {flip}");
                bytes[at] ^= flip;
            }
        }
    }

    [Fact]
    public void A_copy_of_another_length_or_an_empty_one_is_not_whole()
    {
        Assert.False(ControlFile.IsWhole(Bytes().AsSpan(0, 8191)));
        Assert.False(ControlFile.IsWhole(new byte[8192]));
        Assert.False(ControlFile.IsWhole([]));
    }

    [Fact]
    public void A_copy_that_is_damaged_or_of_another_cluster_never_gets_into_a_set()
    {
        var bytes = Bytes();
        var system = ControlFile.SystemIdentifierOf(bytes);
        ControlFile.EnsureIs(bytes, system, "server:5432");

        var other = Assert.Throws<BackupException>(() => ControlFile.EnsureIs(bytes, system + 1, "server:5432"));
        Assert.Contains($"is of system identifier {system}, and the server is {system + 1}", other.Message, StringComparison.Ordinal);
        bytes[40] ^= 1;
        var damaged = Assert.Throws<BackupException>(() => ControlFile.EnsureIs(bytes, system, "server:5432"));

        Assert.Contains("its checksum is wrong", damaged.Message, StringComparison.Ordinal);
        Assert.Equal((ErrorKind.Verification, ErrorKind.Verification), (other.Kind, damaged.Kind));
    }

    [Fact]
    public void Its_system_identifier_is_read_from_the_data_directory()
    {
        Directory.CreateDirectory(_folder["global"]);
        File.WriteAllBytes(_folder[ControlFile.RelativePath], Bytes());
        Assert.Equal(7712055115656185822UL, ControlFile.Read(_folder.Path).SystemIdentifier);
    }

    [Fact]
    public void A_cut_or_a_missing_file_is_an_error_that_names_it()
    {
        Assert.Contains("pg_control", Assert.Throws<BackupException>(() => ControlFile.Read(_folder.Path)).Message, StringComparison.Ordinal);
        Directory.CreateDirectory(_folder["global"]);
        File.WriteAllBytes(_folder[ControlFile.RelativePath], [1, 2, 3]);
        Assert.Equal(ErrorKind.Verification, Assert.Throws<BackupException>(() => ControlFile.Read(_folder.Path)).Kind);
    }

    public void Dispose() => _folder.Dispose();

    private static byte[] Bytes()
    {
        var bytes = new byte[8192];
        Convert.FromHexString(Fifteen).CopyTo(bytes, 0);
        return bytes;
    }
}
