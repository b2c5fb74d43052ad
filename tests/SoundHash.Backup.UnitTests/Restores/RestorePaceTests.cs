using SoundHash.Backup.Repository;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.UnitTests.Restores;

/// <summary>How fast the last restore was is remembered, and nothing else is touched for it.</summary>
public sealed class RestorePaceTests : IDisposable
{
    private readonly TempFolder _state = new();

    public void Dispose() => _state.Dispose();

    [Fact]
    public async Task The_last_restore_tells_how_long_the_next_one_takes()
    {
        var pace = new RestorePace(_state.Path);
        Assert.Equal((300, "the time that the backup took"), pace.Expect(Set));

        await pace.RememberAsync(Set, [new RestorePhase("load", 1)]);
        await pace.RememberAsync(Set, [new RestorePhase("load", 1.5), new RestorePhase("analyze", 0.5)]);

        Assert.Equal((2, "the last restore on this machine"), pace.Expect(Set));
        Assert.Equal(["restore-pace"], _state.Files());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_state["restore-pace"]));
    }

    // Root remembers in directories of others.
    [Fact]
    public async Task What_a_link_in_its_place_leads_to_is_not_overwritten()
    {
        _state.Write("precious", "theirs");
        File.CreateSymbolicLink(_state["restore-pace"], "precious");

        await new RestorePace(_state.Path).RememberAsync(Set, [new RestorePhase("load", 2)]);

        Assert.Equal("theirs", await File.ReadAllTextAsync(_state["precious"], Cancel));
    }

    private static Manifest Set { get; } = TestSets.Manifest(
        "set", null, "soundhash", TestSets.Record("database.dump", []) with { PlainBytes = 32 * 1024 * 1024 });
}
