using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using System.Text.RegularExpressions;
using SoundHash.Backup.Cli;
using SoundHash.Backup.Cli.Commands;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Cli;

/// <summary>The command lines that we show are ones that we take, and the others are told what is wrong with them.</summary>
public sealed partial class CommandLineTests
{
    /// <summary>Every verb with its words.</summary>
    public static TheoryData<string> Verbs => [.. Walk(ShbackupApplication.Root(), []).Select(static v => string.Join(' ', v.Path))];

    [Theory]
    [MemberData(nameof(Verbs))]
    public void The_examples_of_every_verb_parse_and_one_of_them_is_for_the_verb_itself(string path)
    {
        var verb = Walk(ShbackupApplication.Root(), []).Single(v => string.Join(' ', v.Path) == path).Verb;

        Assert.NotEmpty(verb.Examples);
        Assert.All(verb.Examples, AssertParses);
        Assert.Contains(verb.Examples, e => ShbackupApplication.Parse(Words(e)).CommandResult.Command.Name == verb.Name);
    }

    /// <summary>PostgreSQL takes a code up to 125 of its restore_command for the end of the log, and would end recovery as a success.</summary>
    [Theory]
    [InlineData("wal-archve fetch 000000010000000000000042 pg_wal/RECOVERYXLOG", 200)]
    [InlineData("wal-archive fecth 000000010000000000000042 pg_wal/RECOVERYXLOG", 200)]
    [InlineData("wal-archive 00000002.history pg_wal/RECOVERYHISTORY", 200)]
    [InlineData("--env-fil x wal-archive fetch 000000010000000000000042 pg_wal/RECOVERYXLOG", 200)]
    [InlineData("wal-archive --env-fil x fetch 000000010000000000000042 pg_wal/RECOVERYXLOG", 200)]
    [InlineData("wal-archive fetch --form local 000000010000000000000042 pg_wal/RECOVERYXLOG", 200)]
    [InlineData("wal-archive fetch 000000010000000000000042", 200)]
    [InlineData("wal-archve list", 2)]
    [InlineData("wal-archive push --form x pg_wal/000000010000000000000042", 2)]
    [InlineData("backup --nmae 000000010000000000000042", 2)]
    public async Task A_misspelt_restore_command_never_passes_for_the_end_of_the_log(string line, int code)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();

        Assert.Equal(code, await ShbackupApplication.RunAsync(line.Split(' '), output, error));

        Assert.StartsWith("error: ", error.ToString(), StringComparison.Ordinal);
    }

    /// <summary>It would be found out when all is restored.</summary>
    [Theory]
    [InlineData("0", 1)]
    [InlineData("99999", 1)]
    [InlineData("65535", 0)]
    public void A_port_that_no_server_can_have_is_refused(string port, int errors) =>
        Assert.Equal(errors, ShbackupApplication.Parse(["restore", "--target-dir", "x", "--start", "--port", port]).Errors.Count);

    /// <summary>Every page of the documentation.</summary>
    public static TheoryData<string> Pages => [.. MarkdownPage.All];

    [Theory]
    [MemberData(nameof(Pages))]
    public void The_command_lines_of_the_documentation_parse(string page) => Assert.All(CommandLinesOf(MarkdownPage.Read(page)), AssertParses);

    /// <summary>A hint is followed at three in the morning: what it says to type must be a command line.</summary>
    [Fact]
    public void The_command_lines_in_messages_and_hints_of_the_source_parse()
    {
        var lines = Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(static f => !f.Contains("/obj/", StringComparison.Ordinal) && !f.Contains("/bin/", StringComparison.Ordinal))
            .SelectMany(static f => Literal().Matches(File.ReadAllText(f)).Select(static m => m.Groups["text"].Value))
            .SelectMany(static text => Mentioned().Matches(text).Select(static m => m.Value))
            .Select(static line => Filled(line).Trim())
            // A verb that is filled in, and words about the program.
            .Where(static line => !line.EndsWith('\'') && !line.StartsWith("shbackup backup WORD", StringComparison.Ordinal) && line != "shbackup restore sets by itself")
            .Distinct().ToList();

        Assert.True(lines.Count >= 20, string.Join("; ", lines));
        Assert.All(lines, static line =>
        {
            var words = Words(line).TakeWhile(static w => !Prose.Contains(w)).ToList();
            // A verb of which the rest is in other words, like its id, is one all the same.
            var problems = ShbackupApplication.Problems(ShbackupApplication.Parse(words))
                .Where(static p => !p.StartsWith("Required ", StringComparison.Ordinal) && !p.StartsWith("give the id", StringComparison.Ordinal)
                    && !p.StartsWith("say what to restore", StringComparison.Ordinal));
            Assert.True(!problems.Any(), $"{line}: {string.Join("; ", problems)}");
        });
    }

    // Each place with another word: two stores of one line are not the same.
    private static string Filled(string line)
    {
        var places = 0;
        return Interpolation().Replace(line, _ => $"WORD{++places}");
    }

    // Words with which a sentence goes on behind a command line.
    private static readonly string[] Prose =
        ["and", "shows", "tells", "makes", "after", "lists", "says", "fetches", "prints", "looks", "fills", "archives"];

    [GeneratedRegex("""(?<text>\$?"([^"\\\n]|\\.)*shbackup ([^"\\\n]|\\.)*")""", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Literal();

    // Up to where the sentence goes on.
    [GeneratedRegex("""(?<![\w/.-])shbackup (backup|restore|encrypt|decrypt|wal-archive)\b[^";:,()|]*""", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Mentioned();

    [GeneratedRegex(@"\{[^{}]*\}", RegexOptions.None, 5000)]
    private static partial Regex Interpolation();

    [Theory]
    [InlineData("README.md", 8)]
    [InlineData("docs/runbook.md", 12)]
    [InlineData("docs/pitr.md", 7)]
    [InlineData("docs/receive.md", 4)]
    public void The_command_lines_of_the_documentation_are_found(string page, int least) =>
        Assert.True(CommandLinesOf(MarkdownPage.Read(page)).Count >= least, string.Join("; ", CommandLinesOf(MarkdownPage.Read(page))));

    // Of other programs, their command lines begin with their name, so that an option alone is one of ours.
    [Theory]
    [MemberData(nameof(Pages))]
    public void The_options_that_the_documentation_names_are_ours(string page)
    {
        var options = Commands(ShbackupApplication.Root()).SelectMany(static c => c.Options).Select(static o => o.Name).ToHashSet();
        var verbs = Commands(ShbackupApplication.Root()).Select(static c => c.Name).ToHashSet();
        var named = MarkdownPage.Read(page).InlineCode
            .Where(c => c.StartsWith("--", StringComparison.Ordinal) || verbs.Contains(c.Split(' ')[0]))
            .SelectMany(static c => c.Split(' ', '[', ']', '|', '\\'))
            .Where(static w => w.StartsWith("--", StringComparison.Ordinal));

        Assert.All(named, n => Assert.Contains(n, options));
    }

    [Theory]
    [MemberData(nameof(Verbs))]
    public void Help_has_options_examples_and_exit_codes_in_lines_that_fit(string path)
    {
        using var output = new StringWriter();

        var parse = ShbackupApplication.Parse([.. path.Split(' '), "--help"]);
        parse.InvocationConfiguration.Output = output;
        Assert.Equal(0, parse.Invoke(parse.InvocationConfiguration));

        var text = output.ToString();
        Assert.Contains("Examples:\n  shbackup ", text, StringComparison.Ordinal);
        Assert.Contains("Exit codes:\n    0  done, and proven\n", text, StringComparison.Ordinal);
        Assert.Contains("--env-file <FILE>", text, StringComparison.Ordinal);
        Assert.All(text.Split('\n'), static l => Assert.True(l.Length <= 140, l));
        // A placeholder is a word that says what belongs there.
        Assert.DoesNotMatch("<(?!N>|ID>)[A-Z]{1,2}>", text);
        Assert.DoesNotMatch("<[a-z]+>", text);
    }

    [Fact]
    public void The_help_of_the_group_that_is_no_verb_has_examples_that_parse_and_exit_codes()
    {
        using var output = new StringWriter();
        var parse = ShbackupApplication.Parse(["wal-archive", "--help"]);
        parse.InvocationConfiguration.Output = output;

        Assert.Equal(0, parse.Invoke(parse.InvocationConfiguration));

        Assert.All(SoundHash.Backup.Cli.Commands.WalArchive.WalArchiveCommand.Examples, AssertParses);
        Assert.Contains("Examples:\n  shbackup wal-archive ", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("Exit codes:\n    0  done, and proven\n", output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("wal-archive push", new[] { 0, 1, 2, 3, 4, 6, 7, 8, 9 })]
    [InlineData("wal-archive fetch", new[] { 0, 1, 200 })]
    [InlineData("wal-archive cleanup", new[] { 0, 1, 2, 3, 6, 8, 9, 130 })]
    [InlineData("wal-archive status", new[] { 0, 1, 2, 3, 5, 6, 8, 130 })]
    [InlineData("wal-archive generate-config", new[] { 0, 1, 2, 3, 4, 5, 6, 130 })]
    public void The_help_has_the_exit_codes_that_whoever_runs_the_verb_sees(string path, int[] codes)
    {
        var verb = (VerbCommand)ShbackupApplication.Parse(path.Split(' ')).CommandResult.Command;

        Assert.Equal(codes, verb.Exits.Select(static e => e.Code));
    }

    [Theory]
    [InlineData("", "shbackup --help")]
    [InlineData("nonsense", "shbackup --help")]
    [InlineData("backup nonsense", "shbackup backup --help")]
    [InlineData("backup --nonsense", "shbackup backup --help")]
    [InlineData("backup -x", "shbackup backup --help")]
    [InlineData("backup --tier forever", "shbackup backup --help")]
    [InlineData("backup --jobs many", "shbackup backup --help")]
    [InlineData("backup --lock-wait -1", "shbackup backup --help")]
    [InlineData("backup --name", "shbackup backup --help")]
    [InlineData("backup --name --dry-run", "shbackup backup --help")]
    [InlineData("backup --name a/b --jobs many", "shbackup backup --help")]
    [InlineData("backup --all-databases --database one", "shbackup backup --help")]
    [InlineData("backup --exclude-database one", "shbackup backup --help")]
    [InlineData("backup list one", "shbackup backup list --help")]
    [InlineData("backup show", "shbackup backup show --help")]
    [InlineData("backup verify", "shbackup backup verify --help")]
    [InlineData("backup verify --dep", "shbackup backup verify --help")]
    [InlineData("backup keep --for-ever", "shbackup backup keep --help")]
    [InlineData("encrypt --forse", "shbackup encrypt --help")]
    [InlineData("backup verify one --all", "shbackup backup verify --help")]
    [InlineData("backup expire --nonsense", "shbackup backup expire --help")]
    [InlineData("backup keep", "shbackup backup keep --help")]
    [InlineData("backup unkeep one two", "shbackup backup unkeep --help")]
    [InlineData("backup --log-level loud", "shbackup backup --help")]
    [InlineData("restore", "shbackup restore --help")]
    [InlineData("restore --latest --file x", "shbackup restore --help")]
    [InlineData("restore --file x --globals", "shbackup restore --help")]
    [InlineData("restore --latest --all-databases --target-db x", "shbackup restore --help")]
    [InlineData("restore --latest --target-db --swap", "shbackup restore --help")]
    [InlineData("restore --latest --env-file --yes", "shbackup restore --help")]
    [InlineData("restore --latest --clean --swap", "shbackup restore --help")]
    [InlineData("encrypt", "shbackup encrypt --help")]
    [InlineData("encrypt x --method rot13", "shbackup encrypt --help")]
    [InlineData("decrypt", "shbackup decrypt --help")]
    [InlineData("decrypt x y", "shbackup decrypt --help")]
    public async Task A_wrong_command_line_is_one_error_one_hint_and_with_json_one_document(string line, string hint)
    {
        foreach (var json in (bool[])[false, true])
        {
            using var output = new StringWriter();
            using var error = new StringWriter();
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);

            var code = await ShbackupApplication.RunAsync(json ? [.. words, "--json"] : words, output, error);

            Assert.Equal(2, code);
            var lines = error.ToString().TrimEnd('\n').Split('\n');
            Assert.Equal(2, lines.Length);
            Assert.StartsWith("error: ", lines[0], StringComparison.Ordinal);
            Assert.DoesNotContain("System.", lines[0], StringComparison.Ordinal);
            Assert.Equal($"hint: {hint}", lines[1]);
            if (json)
            {
                using var document = JsonDocument.Parse(output.ToString());
                var told = document.RootElement.GetProperty("error");
                Assert.Equal("usage", told.GetProperty("kind").GetString());
                Assert.Equal(2, told.GetProperty("exitCode").GetInt32());
                Assert.Equal(lines[0], $"error: {told.GetProperty("message").GetString()}");
                Assert.Equal(lines[1], $"hint: {told.GetProperty("hint").GetString()}");
            }
            else
            {
                Assert.Empty(output.ToString());
            }
        }
    }

    /// <summary>Validators look at values that could not be understood: none may throw for that.</summary>
    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task No_value_of_any_option_ends_in_anything_but_a_usage_error_or_is_taken(string path)
    {
        var root = ShbackupApplication.Root();
        var verb = Walk(root, []).Single(v => string.Join(' ', v.Path) == path).Verb;
        foreach (var option in verb.Options.Concat(root.Options).Where(static o => o is not (System.CommandLine.Help.HelpOption or VersionOption)))
        {
            foreach (var value in (string[])["x", "3.5", "-1", "99999999999999999999", "=", "\u0001"])
            {
                string[][] ways = [[option.Name, value], [$"{option.Name}={value}"], [option.Name, value, option.Name, value]];
                foreach (var way in ways)
                {
                    string[] words = [.. path.Split(' '), .. way];
                    if (ShbackupApplication.Problems(ShbackupApplication.Parse(words)).Count > 0)
                    {
                        await AssertUsageErrorAsync(words, path == "wal-archive fetch" ? 200 : 2);
                    }
                    else
                    {
                        Assert.False(option is Option<int?>, $"{string.Join(' ', words)} was taken");
                    }
                }
            }
        }
    }

    private static async Task AssertUsageErrorAsync(string[] words, int code)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();

        var actual = await ShbackupApplication.RunAsync([.. words, "--json"], output, error);

        Assert.True(actual == code, $"{string.Join(' ', words)}: {actual} {error}");
        var lines = error.ToString().TrimEnd('\n').Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.StartsWith("error: ", lines[0], StringComparison.Ordinal);
        Assert.DoesNotContain("System.", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("hint: shbackup ", lines[1], StringComparison.Ordinal);
        using var document = JsonDocument.Parse(output.ToString());
        Assert.Equal("usage", document.RootElement.GetProperty("error").GetProperty("kind").GetString());
    }

    [Theory]
    [InlineData("backup --kind fysical", "fysical")]
    [InlineData("backup --archive-timeout x", "--archive-timeout takes a whole number, not 'x'")]
    [InlineData("wal-archive cleanup --retention-days 3.5", "--retention-days takes a whole number, not '3.5'")]
    [InlineData("wal-archive receive --flush-seconds x", "--flush-seconds takes a whole number, not 'x'")]
    [InlineData("backup --nmae x", "(did you mean --name?)")]
    [InlineData("backup --tire=archive", "(did you mean --tier?)")]
    [InlineData("backup verify --dep", "(did you mean --deep?)")]
    [InlineData("backup lsit", "(did you mean list?)")]
    public void A_value_that_is_none_and_a_mistyped_word_are_told_in_words_that_help(string line, string words) =>
        Assert.Contains(words, string.Join("; ", ShbackupApplication.Problems(ShbackupApplication.Parse(line.Split(' ')))), StringComparison.Ordinal);

    [Fact]
    public void What_is_like_no_option_is_not_explained_by_a_guess() =>
        Assert.DoesNotContain("did you mean", string.Join("; ", ShbackupApplication.Problems(ShbackupApplication.Parse(["backup", "--nonsense"]))), StringComparison.Ordinal);

    [Theory]
    [InlineData("backup --help", 1)]
    [InlineData("wal-archive fetch --help", 200)]
    public async Task Whatever_nobody_expected_is_one_error_and_never_an_abort_nor_the_end_of_the_log(string line, int code)
    {
        using var output = new BrokenWriter();
        using var error = new StringWriter();

        Assert.Equal(code, await ShbackupApplication.RunAsync(line.Split(' '), output, error));

        Assert.StartsWith("error: internal error: NotSupportedException: no such thing\nhint: ", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(2, error.ToString().TrimEnd('\n').Split('\n').Length);
    }

    [Fact]
    public async Task A_log_file_in_a_directory_that_is_missing_is_refused_and_the_directory_not_made()
    {
        using var folder = new TempFolder();
        using var output = new StringWriter();
        using var error = new StringWriter();

        Assert.Equal(3, await ShbackupApplication.RunAsync(["backup", "list", "--log-file", folder["missing/x.log"]], output, error));

        Assert.Contains("can't write the log file", error.ToString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["missing"]));
    }

    private sealed class BrokenWriter : StringWriter
    {
        public override void Write(char value) => throw new NotSupportedException("no such thing");

        public override void Write(string? value) => throw new NotSupportedException("no such thing");

        public override void WriteLine(string? value) => throw new NotSupportedException("no such thing");
    }

    [Theory]
    [InlineData("the value of --database is empty", "backup", "--database", "")]
    [InlineData("Required argument missing for option: '--database'", "backup", "--database=")]
    [InlineData("the value of --exclude-database is empty", "backup", "--all-databases", "--exclude-database", " ")]
    [InlineData("the value of --name is empty", "backup", "--name", "")]
    [InlineData("the value of ID is empty", "backup", "verify", "")]
    [InlineData("the value of ID is empty", "backup", "show", "\t")]
    [InlineData("the value of ID is empty", "backup", "keep", "")]
    [InlineData("the value of ID is empty", "backup", "unkeep", "")]
    [InlineData("the value of --backup is empty", "restore", "--backup", "")]
    [InlineData("the value of --file is empty", "restore", "--file", "")]
    [InlineData("the value of --database is empty", "restore", "--latest", "--database", "")]
    [InlineData("the value of --target-db is empty", "restore", "--latest", "--target-db", "")]
    [InlineData("the value of --table is empty", "restore", "--latest", "--table", "")]
    [InlineData("the value of --env-file is empty", "restore", "--latest", "--env-file", "")]
    [InlineData("the value of --log-file is empty", "--log-file", "", "backup")]
    [InlineData("the value of FILE is empty", "encrypt", "")]
    [InlineData("the value of FILE is empty", "decrypt", "")]
    public async Task An_empty_value_is_refused_and_never_stands_for_a_default(string problem, params string[] words)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();

        var code = await ShbackupApplication.RunAsync(words, output, error);

        Assert.Equal(2, code);
        var lines = error.ToString().TrimEnd('\n').Split('\n');
        Assert.Equal($"error: {problem}", lines[0]);
        Assert.StartsWith("hint: shbackup ", lines[1], StringComparison.Ordinal);
        Assert.Equal(2, lines.Length);
        Assert.Empty(output.ToString());
    }

    [Fact]
    public void A_name_that_no_set_may_have_is_told_with_the_other_problems_of_the_command_line()
    {
        var problems = ShbackupApplication.Problems(ShbackupApplication.Parse(["backup", "--name", "a/b", "--jobs", "many"]));

        Assert.Contains(problems, static p => p.StartsWith("'a/b' is no name for a set: use letters", StringComparison.Ordinal));
        Assert.Contains("--jobs takes a whole number, not 'many'", problems);
    }

    [Fact]
    public void What_really_begins_like_an_option_comes_after_two_dashes() =>
        Assert.Empty(ShbackupApplication.Problems(ShbackupApplication.Parse(["encrypt", "--key", "age1abc", "--", "--file"])));

    [Fact]
    public void Every_verb_says_how_it_can_fail_beyond_what_every_verb_can()
    {
        ErrorKind[] common = [ErrorKind.Failed, ErrorKind.Usage, ErrorKind.Configuration, ErrorKind.Cancelled];

        Assert.All(Walk(ShbackupApplication.Root(), []), v =>
        {
            Assert.Empty(v.Verb.Failures.Intersect(common));
            Assert.Equal(v.Verb.Failures.Distinct().Order(), v.Verb.Failures);
        });
    }

    private static void AssertParses(string line)
    {
        var words = Words(line);
        Assert.Equal("shbackup", CommandLineParser.SplitCommandLine(line).First());
        var errors = ShbackupApplication.Problems(ShbackupApplication.Parse(words));
        Assert.True(errors.Count == 0, $"{line}: {string.Join("; ", errors)}");
    }

    private static List<string> Words(string line) => CommandLineParser.SplitCommandLine(line).Skip(1).ToList();

    // Whole lines in fences, or what cron, systemd and comments leave of them, and what stands in the text.
    private static List<string> CommandLinesOf(MarkdownPage page) => page.FencedLines
        .SelectMany(static l => l.Split('#')[0].Split(" -- ")[0].Split("&&"))
        .Select(static l => l.Trim().Replace("ExecStart=", string.Empty, StringComparison.Ordinal))
        .Select(static l => l.Replace("/usr/local/bin/", string.Empty, StringComparison.Ordinal))
        .Concat(page.InlineCode)
        // The parser's splitter knows one kind of quotes.
        .Select(static l => l.Replace('\'', '"'))
        .Where(static l => l.StartsWith("shbackup ", StringComparison.Ordinal) && !l.Contains("VERB", StringComparison.Ordinal))
        .ToList();

    private static IEnumerable<Command> Commands(Command command) =>
        [command, .. command.Subcommands.Where(static c => !c.Hidden).SelectMany(Commands)];

    private static IEnumerable<(IReadOnlyList<string> Path, VerbCommand Verb)> Walk(Command command, IReadOnlyList<string> path)
    {
        foreach (var child in command.Subcommands)
        {
            IReadOnlyList<string> own = [.. path, child.Name];
            // A group of verbs does nothing itself; what is hidden is for our own use.
            if (child is VerbCommand verb && !child.Hidden)
            {
                yield return (own, verb);
            }

            foreach (var below in Walk(child, own))
            {
                yield return below;
            }
        }
    }
}
