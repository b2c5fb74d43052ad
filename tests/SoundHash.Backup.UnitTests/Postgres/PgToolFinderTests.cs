using Serilog.Events;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;

namespace SoundHash.Backup.UnitTests.Postgres;

/// <summary>Which of the installed programs are used.</summary>
public sealed class PgToolFinderTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly RecordingLog _log = new();

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = HangLimit)]
    public async Task Programs_are_asked_for_their_versions_once_however_often_they_are_needed()
    {
        _folder.WriteScript("99/bin/pg_dump", $"echo asked >> {_folder["asked"]}; echo 'pg_dump (PostgreSQL) 99.1'");
        var finder = new PgToolFinder(new ProcessLauncher(_log.Log), _log.Log, null, _folder.Path);

        Assert.Equal("99.1", (await finder.ForServerAsync(99, Cancel)).Version);
        Assert.Equal(_folder["99/bin"], (await finder.ForRestoreAsync(99, 0, Cancel)).Directory);

        Assert.Equal("asked\n", await File.ReadAllTextAsync(_folder["asked"], Cancel));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_broken_program_somewhere_is_left_out_with_a_warning_and_stops_nothing()
    {
        _folder.WriteScript("98/bin/pg_dump", "echo 'no such library' >&2; exit 127");
        _folder.WriteScript("99/bin/pg_dump", "echo 'pg_dump (PostgreSQL) 99.1'");

        var found = await new PgToolFinder(new ProcessLauncher(_log.Log), _log.Log, null, _folder.Path).ForServerAsync(98, Cancel);

        Assert.Equal(99, found.Major);
        Assert.Contains("no such library", Assert.Single(_log.Messages(LogEventLevel.Warning)), StringComparison.Ordinal);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(96, 96)]
    [InlineData(97, 98)]
    [InlineData(98, 98)]
    [InlineData(90, 96)]
    public async Task Of_several_versions_the_servers_own_is_used_or_else_the_next_newer_one(int server, int used)
    {
        foreach (var major in (int[])[99, 96, 98])
        {
            _folder.WriteScript($"{major}/bin/pg_dump", $"echo 'pg_dump (PostgreSQL) {major}.2 (Debian {major}.2-1)'");
        }

        var found = await new PgToolFinder(new ProcessLauncher(_log.Log), _log.Log, null, _folder.Path).ForServerAsync(server, Cancel);

        Assert.Equal((used, _folder[$"{used}/bin"]), (found.Major, found.Directory));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_dump_of_a_newer_version_than_its_server_is_restored_with_programs_that_can_read_it()
    {
        _folder.WriteScript("96/bin/pg_dump", "echo 'pg_dump (PostgreSQL) 96.1'");
        _folder.WriteScript("99/bin/pg_dump", "echo 'pg_dump (PostgreSQL) 99beta1'");
        var finder = new PgToolFinder(new ProcessLauncher(_log.Log), _log.Log, null, _folder.Path);

        Assert.Equal(99, (await finder.ForRestoreAsync(97, 96, Cancel)).Major);
        Assert.Equal(96, (await finder.ForRestoreAsync(90, 96, Cancel)).Major);
        var e = await Assert.ThrowsAsync<BackupException>(() => finder.ForRestoreAsync(100, 96, Cancel));
        Assert.Equal(ErrorKind.ToolMissing, e.Kind);
        Assert.Contains("version 100 or newer are needed", e.Message, StringComparison.Ordinal);
        Assert.Contains("99beta1", e.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_broken_program_in_the_directory_that_was_named_is_an_error()
    {
        _folder.WriteScript("bin/pg_dump", "echo 'no such library' >&2; exit 127");

        var e = await Assert.ThrowsAnyAsync<BackupException>(
            () => new PgToolFinder(new ProcessLauncher(_log.Log), _log.Log, _folder["bin"]).ForServerAsync(15, Cancel));

        Assert.Contains("no such library", e.Message, StringComparison.Ordinal);
    }
}
