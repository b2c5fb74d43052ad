using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Configuration;

/// <summary>What a line of a .env file means, and that none is misread in silence.</summary>
public sealed class EnvFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("BACKUP_DIR=/backups", "/backups")]
    [InlineData("BACKUP_DIR = /backups  ", "/backups")]
    [InlineData("  export BACKUP_DIR=/backups", "/backups")]
    [InlineData("export  BACKUP_DIR=/backups", "/backups")]
    [InlineData("BACKUP_DIR=/my backups", "/my backups")]
    [InlineData("BACKUP_DIR=\"/my backups\"", "/my backups")]
    [InlineData("BACKUP_DIR='/my backups'", "/my backups")]
    [InlineData("BACKUP_DIR=\" /backups \"", " /backups ")]
    [InlineData("BACKUP_DIR=/backups # where they are", "/backups")]
    [InlineData("BACKUP_DIR=/backups#1", "/backups#1")]
    [InlineData("BACKUP_DIR=\"/backups # 1\"", "/backups # 1")]
    [InlineData("BACKUP_DIR='/backups # 1' # comment", "/backups # 1")]
    [InlineData("BACKUP_DIR=/a=b=c", "/a=b=c")]
    [InlineData("BACKUP_DIR=$HOME/${USER}", "$HOME/${USER}")]
    [InlineData("BACKUP_DIR=\"$HOME/${USER}\"", "$HOME/${USER}")]
    [InlineData("BACKUP_DIR=pa$$w0rd!", "pa$$w0rd!")]
    [InlineData("BACKUP_DIR=it's", "it's")]
    [InlineData("BACKUP_DIR='say \"so\"'", "say \"so\"")]
    [InlineData("BACKUP_DIR=C:\\backups\\new", "C:\\backups\\new")]
    [InlineData("BACKUP_DIR='a\\nb'", "a\\nb")]
    [InlineData("BACKUP_DIR=größe", "größe")]
    [InlineData("BACKUP_DIR=", "")]
    [InlineData("BACKUP_DIR=\"\"", "")]
    public void A_value_is_what_a_person_would_take_it_for(string line, string value)
    {
        Assert.Equal(value, Read(line).Values["BACKUP_DIR"]);
        Assert.Equal(value, Read($"# comment\r\n\r\n{line}\r\nBACKUP_JOBS=2\r\n").Values["BACKUP_DIR"]);
    }

    [Fact]
    public void Comments_empty_lines_and_a_byte_order_mark_mean_nothing()
    {
        var file = Read("\uFEFF# first\n\n   # BACKUP_DIR=/x\n#BACKUP_NAME=x\nBACKUP_JOBS=2\n\t\n");

        Assert.Equal(["BACKUP_JOBS"], file.Values.Keys.Where(static n => n.StartsWith("BACKUP_", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_last_of_several_assignments_counts_as_in_a_shell()
    {
        Assert.Equal("2", Read("BACKUP_JOBS=1\nBACKUP_JOBS=2\n").Values["BACKUP_JOBS"]);
    }

    [Theory]
    [InlineData("BACKUP_ENCRYPTION_ENABLED true")]
    [InlineData("BACKUP_ENCRYPTION_ENABLED: true")]
    [InlineData("BACKUP_ENCRYPTION_ENABLED")]
    [InlineData("export BACKUP_ENCRYPTION_ENABLED")]
    [InlineData("BACKUP_ENCRYPTION_ENABLED true # =")]
    [InlineData("BACKUP ENCRYPTION=true")]
    [InlineData("BACKUP-DIR=/x")]
    [InlineData("DATABASE_PASSWORD secret")]
    [InlineData("PGHOST localhost")]
    public void A_line_of_ours_that_is_no_assignment_is_an_error_with_its_number(string line)
    {
        var e = Assert.Throws<BackupException>(() => Read($"BACKUP_JOBS=1\n{line}\n"));

        Assert.Equal(ErrorKind.Configuration, e.Kind);
        Assert.Equal($"{_folder[".env"]} line 2 is no assignment", e.Message);
    }

    [Theory]
    [InlineData("DATABASE_PASSWORD=\"half\"and half")]
    [InlineData("DATABASE_PASSWORD='half'and'half'")]
    [InlineData("DATABASE_PASSWORD=\"half\" and")]
    [InlineData("OTHER='half'\"half\"")]
    public void Text_after_a_closing_quote_is_an_error_and_no_half_password(string line)
    {
        var e = Assert.Throws<BackupException>(() => Read(line));

        Assert.Equal(ErrorKind.Configuration, e.Kind);
        Assert.Equal($"{_folder[".env"]} line 1 has text after the closing quote", e.Message);
        Assert.DoesNotContain("half", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("DATABASE_PASSWORD=\"never closed")]
    [InlineData("DATABASE_PASSWORD='never closed")]
    [InlineData("DATABASE_PASSWORD=\"never closed\\\"")]
    public void A_quote_that_is_not_closed_is_an_error_and_no_other_password(string line)
    {
        foreach (var text in (string[])[line, $"{line}\nBACKUP_JOBS=2\n", $"{line}\nBACKUP_NAME=\"x\"\n"])
        {
            var e = Assert.Throws<BackupException>(() => Read(text));

            Assert.Equal(ErrorKind.Configuration, e.Kind);
            Assert.Equal($"{_folder[".env"]} line 1 opens a quote that it does not close", e.Message);
            Assert.DoesNotContain("never closed", e.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_value_of_another_program_may_go_over_several_lines()
    {
        var file = Read("KEY=\"-----BEGIN KEY-----\nBACKUP of the key\n'\n-----END KEY-----\"\nBACKUP_JOBS=2\n");

        Assert.Equal("2", file.Values["BACKUP_JOBS"]);
    }

    [Fact]
    public void A_quote_of_another_program_that_is_not_closed_never_swallows_a_setting_of_ours()
    {
        var e = Assert.Throws<BackupException>(() => Read("KEY=\"never closed\nBACKUP_ENCRYPTION_ENABLED=\"true\"\n"));

        Assert.Equal($"{_folder[".env"]} line 2 stands inside the quote that line 1 opens", e.Message);
    }

    [Fact]
    public void Lines_of_other_programs_are_none_of_our_business()
    {
        var file = Read("SOME words\nBACKUP_JOBS=3\n[section]\n");

        Assert.Equal("3", file.Values["BACKUP_JOBS"]);
    }

    [Fact]
    public void A_file_that_is_missing_or_a_folder_is_an_error_with_its_path()
    {
        foreach (var path in (string[])[_folder["missing"], _folder.Path])
        {
            var e = Assert.Throws<BackupException>(() => EnvFile.Read(path));

            Assert.Equal(ErrorKind.Configuration, e.Kind);
            Assert.Contains(path, e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_empty_file_has_no_values()
    {
        Assert.Empty(Read(string.Empty).Values);
    }

    private EnvFile Read(string text) => EnvFile.Read(_folder.Write(".env", text));
}
