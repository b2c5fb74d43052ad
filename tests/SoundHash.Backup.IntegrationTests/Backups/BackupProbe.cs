using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>Looks at what a backup did, from outside.</summary>
internal static class BackupProbe
{
    private const string Marker = "SHBACKUP_TEST_RUN";

    /// <summary>Some tables with a few megabytes, enough for a backup to be in the middle of.</summary>
    public const string FewMegabytes =
        """
        CREATE TABLE a_held (id int PRIMARY KEY);
        INSERT INTO a_held SELECT generate_series(1, 10);
        CREATE TABLE filler (id int PRIMARY KEY, content text NOT NULL);
        INSERT INTO filler SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 5000) g;
        """;

    /// <summary>
    /// Two tables above the 64 MB from where each gets its own stream, the first the larger one. One row fills a page, so that they
    /// are quick to make.
    /// </summary>
    public const string TwoBigTables =
        """
        CREATE TABLE a_big (id int, note text) WITH (fillfactor = 10);
        ALTER TABLE a_big ALTER note SET STORAGE PLAIN;
        INSERT INTO a_big SELECT g, repeat('x', 1000) FROM generate_series(1, 8500) g;
        CREATE TABLE b_big (id int, note text) WITH (fillfactor = 10);
        ALTER TABLE b_big ALTER note SET STORAGE PLAIN;
        INSERT INTO b_big SELECT g, repeat('x', 1000) FROM generate_series(1, 8300) g;
        """;

    /// <summary>Marks the environment, so that every process that descends from this workspace can be found.</summary>
    public static string Mark(this Workspace work)
    {
        var mark = Guid.NewGuid().ToString("n");
        work.Environment[Marker] = mark;
        return mark;
    }

    /// <summary>Programs that run with a mark in their environment, by name.</summary>
    public static IReadOnlyList<(int Pid, string Name)> ProcessesOf(string mark)
    {
        var wanted = $"{Marker}={mark}";
        var found = new List<(int, string)>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var pid))
            {
                try
                {
                    if (File.ReadAllText(Path.Combine(folder, "environ")).Split('\0').Contains(wanted))
                    {
                        found.Add((pid, File.ReadAllText(Path.Combine(folder, "comm")).Trim()));
                    }
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    // It ended while we looked.
                }
            }
        }

        return found;
    }

    /// <summary>Waits until a program of a name runs with a mark, and returns its pid.</summary>
    public static async Task<int> ProcessAsync(string mark, string name)
    {
        var pid = 0;
        await Eventually.TrueAsync(() => (pid = ProcessesOf(mark).FirstOrDefault(p => p.Name == name).Pid) != 0, $"{name} runs");
        return pid;
    }

    public static Task NoProcessesLeftAsync(string mark) =>
        Eventually.TrueAsync(() => ProcessesOf(mark).Count == 0, "no child program is left");

    public static Task SignalAsync(int pid, string signal) => Command.ShellAsync($"kill -{signal} {pid}");

    /// <summary>Every file of the sets, temporary ones included.</summary>
    public static IReadOnlyList<string> SetFiles(this Workspace work)
    {
        var sets = Path.Combine(work.Repository, "sets");
        return Directory.Exists(sets) ? Directory.EnumerateFiles(sets, "*", SearchOption.AllDirectories).ToList() : [];
    }

    /// <summary>Ids of the sets that are listed, newest first.</summary>
    public static async Task<IReadOnlyList<string>> ListedAsync(this Workspace work)
    {
        var list = await work.JsonAsync(0, "backup", "list");
        return list.GetProperty("sets").EnumerateArray().Select(static s => s.GetProperty("id").GetString()!).ToList();
    }

    /// <summary>The decrypted contents object of a set.</summary>
    public static async Task<JsonElement> ContentsAsync(this Workspace work, string id)
    {
        var file = Directory.EnumerateFiles(work.SetFolder(id), "contents.json*").Single();
        var decode = "cat";
        decode = file.EndsWith(".age", StringComparison.Ordinal) ? $"age -d -i '{work.IdentityFile}'" : decode;
        decode = file.EndsWith(".gpg", StringComparison.Ordinal) ? "gpg --batch --quiet -d" : decode;
        var expand = file.Contains(
            ".zst",
            StringComparison.Ordinal) ? "zstd -dcq" : file.Contains(".gz", StringComparison.Ordinal) ? "gzip -dc" : "cat";
        var environment = work.CleanEnvironment();
        var json = (await Command.ShellAsync($"{decode} < '{file}' | {expand}", environment)).Output;
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    /// <summary>The record of a table in a contents object.</summary>
    public static JsonElement Table(this JsonElement contents, string name, string schema = "public") => contents.GetProperty("tables")
        .EnumerateArray().Single(t => t.GetProperty("name").GetString() == name && t.GetProperty("schema").GetString() == schema);

    public static long RowsOf(
        this JsonElement contents,
        string name,
        string schema = "public") => contents.Table(name, schema).GetProperty("rows").GetInt64();

    /// <summary>Restores a set beside its database, which compares the rows of every table, and returns the new database.</summary>
    public static async Task<string> RestoreBesideAsync(this Workspace work, string id)
    {
        var target = $"beside_{Guid.NewGuid().ToString("n")[..10]}";
        (await work.RunAsync("restore", "--backup", id, "--target-db", target)).Expect(0);
        return target;
    }

    /// <summary>Ends a program that a test started, and waits for it.</summary>
    public static async Task<CommandResult> EndAsync(this Process process, string signal)
    {
        await SignalAsync(process.Id, signal);
        return await Command.FinishAsync(process);
    }

    /// <summary>Waits until somebody waits for a lock in a database.</summary>
    public static Task LockIsAwaitedAsync(this PostgresCluster cluster, string database) => Eventually.TrueAsync(
        async () => await cluster.TextAsync(
            "postgres",
            $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event_type = 'Lock'") != "0",
        $"a session of {database} waits for a lock");

    /// <summary>Asserts that a marker is in no file below a folder.</summary>
    public static async Task AssertNowhereAsync(string folder, string marker)
    {
        var found = await Command.RunAsync(
            "grep",
            "--recursive",
            "--text",
            "--files-with-matches",
            "--fixed-strings",
            "--",
            marker,
            folder);
        Assert.True(found.ExitCode == 1, $"'{marker}' is in plain in: {found}");
    }
}
