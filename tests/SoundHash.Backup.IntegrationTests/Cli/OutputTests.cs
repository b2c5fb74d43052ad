using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Cli;

/// <summary>Where the executable writes what.</summary>
public sealed class OutputTests(PostgresCluster cluster, Samples samples)
{
    /// <summary>Each verb, and the exit code that it has when the store's cluster has an impossible name.</summary>
    public static TheoryData<string, int> Verbs => new()
    {
        { "backup", 3 },
        { "backup --dry-run", 3 },
        { "backup list", 3 },
        { "backup show SET", 3 },
        { "backup verify --all", 3 },
        { "backup expire", 3 },
        { "backup expire --dry-run", 3 },
        { "backup keep SET", 3 },
        { "backup unkeep SET", 3 },
        { "restore --list", 3 },
        { "restore --latest --plan --target-db NEW", 3 },
        { "restore --latest --target-db NEW", 3 },
        { "encrypt FILE --key KEY --output OUT", 6 },
        { "decrypt DUMP --output OUT", 6 },
    };

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task With_json_stdout_is_exactly_one_document_whether_the_verb_succeeds_or_fails(string verb, int failure)
    {
        using var sample = await samples.SmallAsync(cluster, "age");
        var work = sample.Work;
        var words = new Dictionary<string, string>
        {
            ["SET"] = sample.Id,
            ["NEW"] = RestoreHelp.NewName(),
            ["DUMP"] = sample.Edit()[sample.Edit().Key("dump")],
            ["FILE"] = Path.Combine(work.Folder, "file"),
            ["OUT"] = Path.Combine(work.Folder, "out"),
            ["KEY"] = (await Command.ShellAsync($"age-keygen -y '{work.IdentityFile}'")).Output.Trim(),
        };
        await File.WriteAllTextAsync(words["FILE"], "content", TestContext.Current.CancellationToken);
        string[] arguments = [.. verb.Split(' ').Select(w => words.GetValueOrDefault(w, w)), "--json", "--log-level", "debug"];

        var good = (await work.RunAsync(arguments)).Expect(0);
        File.Delete(words["FILE"]);
        File.Delete(words["OUT"]);
        File.Delete(words["DUMP"]);
        work.Set("BACKUP_CLUSTER", "no/name");
        var bad = (await work.RunAsync(arguments)).Expect(failure);

        using var done = JsonDocument.Parse(good.Output);
        Assert.Equal(JsonValueKind.Object, done.RootElement.ValueKind);
        Assert.False(done.RootElement.TryGetProperty("error", out _));
        Assert.DoesNotMatch("\"(None|Zstd|Standard|Logical|Gpg|Age)\"", good.Output);
        using var failed = JsonDocument.Parse(bad.Output);
        var error = failed.RootElement.GetProperty("error");
        Assert.Equal(failure, error.GetProperty("exitCode").GetInt32());
        bad.Says($"error: {error.GetProperty("message").GetString()}\n").Says($"hint: {error.GetProperty("hint").GetString()}\n");
    }

    [Theory]
    [InlineData("backup --nonsense")]
    [InlineData("nonsense")]
    [InlineData("restore")]
    public async Task A_wrong_command_line_exits_2_with_one_error_and_one_hint(string line)
    {
        using var work = new Workspace(cluster, "postgres");

        var plain = (await work.RunAsync(line.Split(' '))).Expect(2);
        var json = await work.JsonAsync(2, line.Split(' '));

        Assert.Empty(plain.Output);
        Assert.Matches("^error: .+\nhint: shbackup.* --help\n$", plain.Error);
        Assert.Equal("usage", json.GetProperty("error").GetProperty("kind").GetString());
    }

    [Fact]
    public async Task The_help_of_every_verb_goes_to_stdout_with_examples_and_exit_codes()
    {
        using var work = new Workspace(cluster, "postgres");
        string[] verbs =
        [
            "backup", "backup list", "backup show", "backup verify", "backup expire", "backup keep", "backup unkeep",
            "restore", "encrypt", "decrypt",
        ];
        foreach (var verb in verbs)
        {
            var help = (await work.RunAsync([.. verb.Split(' '), "--help"])).Expect(0);

            Assert.Contains("Examples:\n", help.Output, StringComparison.Ordinal);
            Assert.Contains("Exit codes:\n", help.Output, StringComparison.Ordinal);
            Assert.Empty(help.Error);
        }

        Assert.StartsWith("shbackup ", (await work.RunAsync("--version")).Expect(0).Output, StringComparison.Ordinal);
        Assert.Contains("restore", (await work.RunAsync("--help")).Expect(0).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_log_file_gets_what_stderr_gets_and_is_appended_to()
    {
        using var work = new Workspace(cluster, "postgres");
        work.Set("BACKUP_COLOUR_SCHEME", "dark");
        Directory.CreateDirectory(work.Repository);
        var log = Path.Combine(work.Folder, "log");

        var result = (await work.RunAsync("backup", "list", "--log-file", "log")).Expect(0);
        (await work.RunAsync("backup", "list", "--log-file", "log")).Expect(0);

        result.Says("warning: unknown setting BACKUP_COLOUR_SCHEME is ignored");
        Assert.Matches(
            "^(\\d{4}-\\d\\d-\\d\\dT[0-9:.+Z-]+ WARN unknown setting BACKUP_COLOUR_SCHEME is ignored\n){2}$",
            await File.ReadAllTextAsync(log, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_log_file_that_can_not_be_written_is_an_error_and_not_left_out()
    {
        using var work = new Workspace(cluster, "postgres");

        (await work.RunAsync("backup", "list", "--log-file", "/dev/null/log"))
            .Expect(3).Says("can't write the log file /dev/null/log").Says("--log-file");
    }

    [Fact]
    public async Task A_result_that_can_not_be_written_is_a_failure()
    {
        using var work = new Workspace(cluster, "postgres");
        (await work.RunAsync("--version")).Expect(0);
        foreach (var json in (string[])["", "--json"])
        {
            var result = await Command.RunAsync(
                "/bin/sh", ["-c", $"'{Workspace.Executable}' backup list {json} > /dev/full"], work.CleanEnvironment(), work.Folder);

            result.Expect(1).Says("can't write the result to stdout: No space left on device");
            Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("--log-level=info", "", true)]
    [InlineData("--no-color", "", false)]
    [InlineData("--log-level=info", "1", false)]
    public async Task Colours_are_for_a_terminal_that_was_not_told_otherwise(string option, string noColor, bool coloured)
    {
        using var work = new Workspace(cluster, "postgres");
        work.Set("BACKUP_COLOUR_SCHEME", "dark");
        work.Environment["TERM"] = "xterm";
        work.Environment["NO_COLOR"] = noColor;

        var terminal = (await work.RunOnTerminalAsync(string.Empty, "backup", "list", option)).Expect(0);
        var pipe = (await work.RunAsync("backup", "list", option)).Expect(0);

        Assert.Contains("unknown setting BACKUP_COLOUR_SCHEME", terminal.Output, StringComparison.Ordinal);
        Assert.Equal(coloured, terminal.Output.Contains("\e[33mwarning: \e[0m", StringComparison.Ordinal));
        Assert.DoesNotContain('\e', pipe.Error);
    }

    [Fact]
    public async Task The_status_line_stays_in_one_row_of_a_narrow_terminal()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.Set("BACKUP_RATE_LIMIT", "20K");
        sample.Work.Environment["TERM"] = "xterm";
        (await sample.Work.RunAsync("--version")).Expect(0);

        var result = await Command.RunAsync(
            "/usr/bin/script",
            ["-qec", $"stty cols 60; '{Workspace.Executable}' backup verify --all", "/dev/null"],
            sample.Work.CleanEnvironment(),
            sample.Work.Folder);

        var drawn = result.Expect(0).Output.Split("\r\e[K").Where(static s => s.StartsWith("verify ", StringComparison.Ordinal)).ToList();
        Assert.Contains(drawn, static s => s.Contains("iB/s", StringComparison.Ordinal));
        Assert.All(drawn, static s => Assert.True(s.Length < 60, s));
    }

    [Fact]
    public async Task A_manifest_that_can_not_be_used_is_listed_with_what_to_do()
    {
        using var sample = await samples.SmallAsync(cluster);
        var edit = sample.Edit();
        edit.Manifest["formatVersion"] = 99;
        edit.SaveManifest();

        foreach (var verb in (string[][])[["backup", "list"], ["restore", "--list"]])
        {
            var text = (await sample.Work.RunAsync(verb)).Expect(8).Says("error: ").Says("hint: ");
            var broken = (await sample.Work.JsonAsync(8, verb)).GetProperty("broken")[0];

            Assert.Equal(sample.Id, broken.GetProperty("id").GetString());
            text.Says($"error: {broken.GetProperty("problem").GetString()}\nhint: {broken.GetProperty("hint").GetString()}\n");
        }
    }

    [Fact]
    public async Task A_damaged_set_is_listed_with_an_error_and_what_to_do()
    {
        using var sample = await samples.SmallAsync(cluster);
        File.Delete(sample.Edit()[sample.Edit().Key("dump")]);

        foreach (var verb in (string[][])[["backup", "list"], ["restore", "--list"]])
        {
            (await sample.Work.RunAsync(verb))
                .Expect(8).Says($"error: set {sample.Id} is damaged: {sample.Edit().Key("dump")} ").Says("hint: ");
        }
    }
}
