using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>One run of a kind at a time, whatever becomes of it.</summary>
public sealed class RunLockTests : IDisposable
{
    private readonly TempFolder _state = new();

    public void Dispose() => _state.Dispose();

    [Fact]
    public async Task A_second_run_is_refused_with_who_holds_the_lock_since_when()
    {
        var time = new FakeTime();
        using var first = await TakeAsync(time: time);
        time.Advance(TimeSpan.FromHours(1));

        var e = await Assert.ThrowsAsync<BackupException>(() => TakeAsync(time: time));

        Assert.Equal(ErrorKind.Locked, e.Kind);
        Assert.Equal(
            $"another backup of \"soundhash\" is running (pid {Environment.ProcessId} on {Environment.MachineName}, since 2026-11-22 02:00:00Z)", e.Message);
        Assert.Contains("--lock-wait", e.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_lock_is_free_when_its_holder_is_done()
    {
        (await TakeAsync()).Dispose();

        using var again = await TakeAsync();
    }

    [Fact]
    public async Task Other_verbs_and_other_databases_have_locks_of_their_own()
    {
        using var one = await TakeAsync();
        using var verb = await TakeAsync("restore");
        using var database = await TakeAsync("backup", "other");
        using var all = await TakeAsync("expire", null);

        Assert.Equal(4, new[] { one.Name, verb.Name, database.Name, all.Name }.Distinct().Count());
        var e = await Assert.ThrowsAsync<BackupException>(() => TakeAsync("expire", null));
        Assert.StartsWith("another expire is running (pid ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_that_differ_only_in_odd_characters_are_two_locks_and_no_path()
    {
        string[] databases = ["a b", "a-b", "a/b", "../../a", "größe", "gr\u00F6\u00DFe ", new string('x', 63), new string('ü', 63), "\n", ""];

        var locks = new List<RunLock>();
        foreach (var database in databases)
        {
            locks.Add(await TakeAsync("backup", database));
        }

        Assert.Equal(databases.Length, locks.Select(static l => l.Name).Distinct().Count());
        locks.ForEach(static l => l.Dispose());
        Assert.All(_state.Files(), static f => Assert.True(f == "instance" || f.StartsWith("locks/backup-", StringComparison.Ordinal), f));
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_lock_is_free_when_its_holder_was_killed()
    {
        string path;
        using (var own = await TakeAsync())
        {
            path = _state[$"locks/{own.Name}.lock"];
        }

        await using var holder = Children.Launcher.Start(Children.Shell($"exec 9>>'{path}'; flock 9; echo $$; kill -STOP $$"));
        await holder.ReadLineAsync();
        await Assert.ThrowsAsync<BackupException>(() => TakeAsync());

        await Programs.RunAsync("/bin/kill", ["-KILL", holder.Id.ToString(CultureInfo.InvariantCulture)]);
        await holder.WaitForExitAsync(Cancel);

        using var again = await TakeAsync();
    }

    [Fact(Timeout = HangLimit)]
    public async Task A_child_program_does_not_inherit_the_lock()
    {
        var own = await TakeAsync();
        await using var child = Children.Launcher.Start(Children.Shell("echo ready; exec sleep 600"));
        await child.ReadLineAsync();
        own.Dispose();

        using var again = await TakeAsync();
        Assert.True(Children.IsAlive(child.Id));
    }

    /// <summary>A child has our open files from its start until its program runs: a lock that ended by closing would outlive us.</summary>
    [Fact(Timeout = HangLimit)]
    public async Task A_lock_that_is_given_up_is_free_at_once_while_programs_are_being_started()
    {
        using var stop = new CancellationTokenSource();
        var starting = Task.Run(
            async () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    await Programs.RunAsync("/bin/true", []);
                }
            },
            Cancel);

        for (var i = 0; i < 2000; i++)
        {
            (await TakeAsync()).Dispose();
        }

        await stop.CancelAsync();
        await starting;
    }

    [Fact(Timeout = HangLimit)]
    public async Task Who_waits_gets_the_lock_when_its_holder_is_done()
    {
        var time = new FakeTime();
        var first = await TakeAsync(time: time);
        var second = TakeAsync(time: time, wait: TimeSpan.FromMinutes(5));
        await time.UntilSomebodyWaitsAsync();
        Assert.False(second.IsCompleted);

        first.Dispose();
        time.Advance(TimeSpan.FromSeconds(1));

        (await second).Dispose();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Two_who_wait_get_the_lock_one_after_the_other()
    {
        var time = new FakeTime();
        var first = await TakeAsync(time: time);
        var waiting = new List<Task<RunLock>> { TakeAsync(
            time: time,
            wait: TimeSpan.FromMinutes(5)), TakeAsync(time: time, wait: TimeSpan.FromMinutes(5)) };
        await time.UntilSomebodyWaitsAsync(2);

        first.Dispose();
        time.Advance(TimeSpan.FromSeconds(1));
        var next = await Task.WhenAny(waiting);
        waiting.Remove(next);
        await time.UntilSomebodyWaitsAsync();
        Assert.False(waiting[0].IsCompleted);

        (await next).Dispose();
        time.Advance(TimeSpan.FromSeconds(1));
        (await waiting[0]).Dispose();
    }

    // Somebody who tidies up removes lock files: then the old file's lock keeps nobody out.
    [Fact(Timeout = HangLimit)]
    public async Task Who_waits_for_a_lock_file_that_was_replaced_does_not_run_beside_the_holder_of_the_new_one()
    {
        var time = new FakeTime();
        var first = await TakeAsync(time: time);
        var second = TakeAsync(time: time, wait: TimeSpan.FromMinutes(5));
        await time.UntilSomebodyWaitsAsync();
        File.Delete(_state[$"locks/{first.Name}.lock"]);
        var third = await TakeAsync(time: time);

        first.Dispose();
        time.Advance(TimeSpan.FromSeconds(1));
        await time.UntilSomebodyWaitsAsync();
        Assert.False(second.IsCompleted);

        third.Dispose();
        time.Advance(TimeSpan.FromSeconds(1));
        (await second).Dispose();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Who_waits_gives_up_when_the_time_is_over()
    {
        var time = new FakeTime();
        var first = await TakeAsync(time: time);
        var second = TakeAsync(time: time, wait: TimeSpan.FromMinutes(5));
        await time.UntilSomebodyWaitsAsync();

        time.Advance(TimeSpan.FromMinutes(5));

        Assert.Equal(ErrorKind.Locked, (await Assert.ThrowsAsync<BackupException>(() => second)).Kind);
        first.Dispose();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Waiting_can_be_cancelled_and_takes_nothing()
    {
        var time = new FakeTime();
        var first = await TakeAsync(time: time);
        var stop = new CancellationTokenSource();
        var second = RunLock.TakeAsync(_state.Path, "backup", "soundhash", TimeSpan.FromMinutes(5), time, stop.Token);
        await time.UntilSomebodyWaitsAsync();

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        first.Dispose();
        (await TakeAsync()).Dispose();
    }

    [Fact]
    public async Task A_state_directory_has_one_identity_for_ever()
    {
        using var other = new TempFolder();
        using var first = await TakeAsync();
        using var second = await TakeAsync("restore");
        using var elsewhere = await RunLock.TakeAsync(other.Path, "backup", "soundhash", TimeSpan.Zero, TimeProvider.System, Cancel);

        Assert.Equal(first.Instance, second.Instance);
        Assert.NotEqual(first.Instance, elsewhere.Instance);
        Assert.NotEmpty(first.Instance);
        Assert.Equal(first.Name, elsewhere.Name);
    }

    [Fact]
    public async Task First_runs_at_the_same_time_agree_on_the_identity()
    {
        var random = NewRandom();
        for (var round = 0; round < 30; round++)
        {
            var state = _state[$"state{round}"];
            var locks = await Task.WhenAll(Enumerable.Range(0, 6).Select(n => Task.Run(
                () => RunLock.TakeAsync(state, "backup", $"db{n}-{random.Next()}", TimeSpan.Zero, TimeProvider.System, Cancel), Cancel)));

            Assert.Single(locks.Select(static l => l.Instance).Distinct());
            Assert.All(locks, static l => l.Dispose());
        }
    }

    [Fact]
    public async Task A_state_directory_that_can_not_be_written_is_told_with_its_setting()
    {
        var e = await Assert.ThrowsAsync<BackupException>(() => RunLock.TakeAsync(
            _state.Write("file", "no directory"), "backup", null, TimeSpan.Zero, TimeProvider.System, Cancel));

        Assert.Equal(ErrorKind.Storage, e.Kind);
        Assert.Contains("BACKUP_STATE_DIR", e.Hint, StringComparison.Ordinal);
    }

    private Task<RunLock> TakeAsync(
        string verb = "backup",
        string? subject = "soundhash",
        TimeProvider? time = null,
        TimeSpan wait = default) =>
        RunLock.TakeAsync(_state.Path, verb, subject, wait, time ?? TimeProvider.System, Cancel);
}
