using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>A restore that is cut off never looks like a finished one, and does not stand in the way of the next.</summary>
public sealed class InterruptionTests(PostgresCluster cluster, Samples samples)
{
    [Fact]
    public async Task SIGTERM_in_the_middle_drops_the_new_database()
    {
        var (work, gate, target) = await InTheMiddleAsync();
        using var owned = work;
        using var restore = work.Start("restore", "--latest", "--target-db", target);
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));

        Assert.False(await cluster.DatabaseExistsAsync(target));
        await RestoreHelp.SignalAsync(restore, "TERM");
        (await Command.FinishAsync(restore)).Expect(130).Says("cancelled");

        await cluster.NothingIsLeftAsync(target);
        await gate.OpenAsync(cluster);
        await NextRestoreWorksAsync(work, target);
    }

    [Fact]
    public async Task After_SIGKILL_the_name_is_free_and_the_next_restore_removes_what_was_left()
    {
        var (work, gate, target) = await InTheMiddleAsync();
        using var owned = work;
        using var restore = work.Start("restore", "--latest", "--target-db", target);
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));
        await RestoreHelp.SignalAsync(restore, "KILL");
        await Command.FinishAsync(restore);

        Assert.False(await cluster.DatabaseExistsAsync(target));
        Assert.True(await cluster.DatabaseExistsAsync(RestoreHelp.WorkingName(target)), "the test did not kill it in the middle");
        await gate.OpenAsync(cluster);
        await LockIsFreeAsync(target);
        var next = await NextRestoreWorksAsync(work, target);
        next.Says("which an interrupted restore left");
        Assert.False(await cluster.DatabaseExistsAsync(RestoreHelp.WorkingName(target)));
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("KILL")]
    public async Task A_signal_in_the_middle_of_a_swap_leaves_the_old_database_in_place(string signal)
    {
        var (work, gate, target) = await InTheMiddleAsync();
        using var owned = work;
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {target}");
        await cluster.ExecuteAsync(target, "CREATE TABLE precious AS SELECT 1 AS x");
        using var restore = work.Start("restore", "--latest", "--target-db", target, "--swap", "--yes");
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));
        await RestoreHelp.SignalAsync(restore, signal);
        await Command.FinishAsync(restore);

        Assert.Equal("1", await cluster.TextAsync(target, "SELECT count(*) FROM precious"));
        await gate.OpenAsync(cluster);
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("KILL")]
    public async Task A_signal_in_the_middle_leaves_an_existing_empty_database_empty(string signal)
    {
        var (work, gate, target) = await InTheMiddleAsync();
        using var owned = work;
        await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {target}");
        using var restore = work.Start("restore", "--latest", "--target-db", target);
        await RestoreGate.ReachedAsync(cluster, target);
        await RestoreHelp.SignalAsync(restore, signal);
        await Command.FinishAsync(restore);
        await gate.OpenAsync(cluster);

        await Eventually.TrueAsync(
            async () => await cluster.TextAsync("postgres", $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{target}'") == "0",
            "the interrupted session is gone");
        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"));
        await LockIsFreeAsync(target);
        await NextRestoreWorksAsync(work, target);
    }

    [Fact]
    public async Task A_killed_pg_restore_is_a_failure_that_drops_the_new_database()
    {
        var (work, gate, target) = await InTheMiddleAsync();
        using var owned = work;
        using var restore = work.Start("restore", "--latest", "--target-db", target);
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));
        await Command.ShellAsync($"pkill -KILL -P {restore.Id} pg_restore");
        (await Command.FinishAsync(restore)).Expect(5).Says("pg_restore");

        await cluster.NothingIsLeftAsync(target);
        await gate.OpenAsync(cluster);
    }

    [Fact]
    public async Task A_server_that_ends_the_session_is_a_failure_that_drops_the_new_database()
    {
        var (work, gate, target) = await InTheMiddleAsync();
        using var owned = work;
        using var restore = work.Start("restore", "--latest", "--target-db", target);
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));
        await cluster.ExecuteAsync(
            "postgres",
            $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{RestoreHelp.WorkingName(target)}'");
        (await Command.FinishAsync(restore)).Expect(5);

        await cluster.NothingIsLeftAsync(target);
        await gate.OpenAsync(cluster);
    }

    [Fact]
    public async Task Two_restores_into_one_database_at_once_are_refused()
    {
        var (work, gate, target) = await InTheMiddleAsync();
        using var owned = work;
        using var first = work.Start("restore", "--latest", "--target-db", target);
        await RestoreGate.ReachedAsync(cluster, RestoreHelp.WorkingName(target));

        (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(9).Says("another restore").Says(target);

        await gate.OpenAsync(cluster);
        (await Command.FinishAsync(first)).Expect(0);
        Assert.Equal("3", await cluster.TextAsync(target, "SELECT count(*) FROM z_gated"));
    }

    // Guards against this: success was read from the words, so that a German pg_restore could fail unnoticed.
    [Fact]
    public async Task A_pg_restore_that_fails_in_German_has_failed()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.FakePrograms("pg_restore", "cat >/dev/null\necho 'pg_restore: Fehler: konnte Tabelle nicht anlegen' >&2\nexit 1");
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(5).Says("konnte Tabelle nicht anlegen");

        await cluster.NothingIsLeftAsync(target);
    }

    // As gettext(3) chooses the language: Debian's packages bring the texts, and the machine of the tests may not have the locale.
    private const string TranslatedRestore =
        """
        locale=${LC_ALL:-${LC_MESSAGES:-$LANG}}
        case $locale in C | C.* | POSIX | '') exec "$REAL" "$@" ;; esac
        case ${LANGUAGE:-$locale} in de*) ;; *) exec "$REAL" "$@" ;; esac
        "$REAL" "$@" 2>"$0.$$"
        code=$?
        sed 's/ error:/ Fehler:/; s/^Command was:/Die Anweisung war:/' "$0.$$" >&2
        exit $code
        """;

    // Guards against this: only after English words was the text of a failed statement left out.
    [Theory]
    [InlineData("LANG", "de_DE.UTF-8")]
    [InlineData("LC_ALL", "de_DE.UTF-8")]
    [InlineData("LC_MESSAGES", "de_DE.UTF-8")]
    [InlineData("LANGUAGE", "de")]
    public async Task A_pg_restore_that_would_fail_in_German_gives_no_password_away(string variable, string value)
    {
        var source = await cluster.CreateDatabaseAsync(
            """
            CREATE FUNCTION check_options(text[], oid) RETURNS void LANGUAGE plpgsql AS
              'BEGIN IF current_database() LIKE ''shbackup%'' AND $1::text LIKE ''%password%'' THEN RAISE ''not here''; END IF; END';
            CREATE FOREIGN DATA WRAPPER w VALIDATOR check_options;
            CREATE SERVER s FOREIGN DATA WRAPPER w;
            CREATE USER MAPPING FOR postgres SERVER s OPTIONS (password 'hunter2');
            """);
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        work.FakePrograms("pg_restore", TranslatedRestore);
        foreach (var name in (string[])["LC_ALL", "LC_MESSAGES", "LANGUAGE"])
        {
            work.Environment[name] = null;
        }

        work.Environment["LANG"] = "en_US.UTF-8";
        work.Environment[variable] = value;

        var result = (await work.RunAsync("restore", "--latest", "--target-db", RestoreHelp.NewName(), "--log-level", "debug", "--log-file", "log"))
            .Expect(5).Says("not here").Says("CREATE USER MAPPING …");

        var log = await File.ReadAllTextAsync(Path.Combine(work.Folder, "log"), TestContext.Current.CancellationToken);
        Assert.DoesNotContain("hunter2", result.Output + result.Error + log, StringComparison.Ordinal);
    }

    // The other way round: words that sound like an error are none.
    [Fact]
    public async Task A_pg_restore_that_says_error_and_succeeds_has_succeeded()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.FakePrograms("pg_restore", "echo 'error: a comment that somebody wrote into a view' >&2\nexec \"$REAL\" \"$@\"");
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);

        Assert.Equal("5000", await cluster.TextAsync(target, "SELECT count(*) FROM videos"));
    }

    [Fact]
    public async Task A_pg_restore_that_ends_well_before_its_input_does_has_failed()
    {
        using var sample = await samples.SplitAsync(cluster);
        sample.Work.FakePrograms("pg_restore", "exit 0");
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(5).Says("before its input was complete");

        await cluster.NothingIsLeftAsync(target);
    }

    [Fact]
    public async Task A_pg_restore_that_does_nothing_and_says_nothing_is_found_by_the_comparison()
    {
        using var sample = await samples.SmallAsync(cluster);
        sample.Work.FakePrograms("pg_restore", "cat >/dev/null");
        var target = RestoreHelp.NewName();

        (await sample.Work.RunAsync("restore", "--latest", "--target-db", target)).Expect(8).Says("3 differences");

        Assert.False(await cluster.DatabaseExistsAsync(target));
    }

    private async Task<(Workspace Work, RestoreGate RestoreGate, string Target)> InTheMiddleAsync()
    {
        var gate = new RestoreGate();
        var source = await cluster.CreateDatabaseAsync(gate.WaitingFunction + RestoreGate.Tables);
        var work = new Workspace(cluster, source);
        await work.BackupAsync();
        await gate.CloseAsync(cluster);
        return (work, gate, RestoreHelp.NewName());
    }

    private async Task<CommandResult> NextRestoreWorksAsync(Workspace work, string target)
    {
        var result = (await work.RunAsync("restore", "--latest", "--target-db", target)).Expect(0);
        Assert.Equal("3", await cluster.TextAsync(target, "SELECT count(*) FROM z_gated"));
        return result;
    }

    // The server notices the end of a killed client a moment later.
    private Task LockIsFreeAsync(string target) => Eventually.TrueAsync(
        async () => await cluster.TextAsync(
            "postgres", $"SELECT pg_try_advisory_lock(hashtextextended('shbackup restore ' || '{target}', 0))::text") == "true",
        "the killed restore's lock is free");
}
