using SoundHash.Backup.Errors;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Processes;

/// <summary>How programs are found.</summary>
public sealed class ProgramPathTests
{
    [Fact]
    public void The_usual_places_are_looked_at_even_when_PATH_lacks_them()
    {
        // PATH of the test process may be anything: what matters is that these come, absolute and once.
        Assert.All(["/usr/local/bin", "/usr/bin", "/bin"], place => Assert.Single(ProgramPath.Directories, place));
        Assert.All(ProgramPath.Directories, static d => Assert.True(Path.IsPathRooted(d)));
    }

    [Fact]
    public void A_missing_program_is_told_with_the_package_that_has_it()
    {
        var e = Assert.Throws<BackupException>(() => ProgramPath.Require("no-such-program", "age"));

        Assert.Equal(ErrorKind.ToolMissing, e.Kind);
        Assert.Contains("no-such-program", e.Message, StringComparison.Ordinal);
        Assert.Equal("apt-get install age", e.Hint);
    }

    [Fact]
    public void Only_a_regular_file_with_an_execute_bit_is_a_program()
    {
        using var folder = new TempFolder();

        Assert.True(ProgramPath.IsExecutable(folder.WriteScript("program", "exit 0")));
        Assert.False(ProgramPath.IsExecutable(folder.Write("text", "text")));
        Assert.False(ProgramPath.IsExecutable(folder.Path));
        Assert.False(ProgramPath.IsExecutable(folder["missing"]));
    }
}
