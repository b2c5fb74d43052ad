using System.Globalization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Processes;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>What PostgreSQL's commands need of the file system.</summary>
/// <param name="Program">This program.</param>
/// <param name="EnvFile">The .env file, or null.</param>
/// <param name="KeyFiles">Files that decryption needs: only recovery does.</param>
/// <param name="Archives">Stores of the archive that are directories, which need not exist yet, with the settings that name them.</param>
/// <param name="SpoolDirectory">BACKUP_SPOOL_DIR, which need not exist yet.</param>
public sealed record ArchivingNeeds(
    string Program, string? EnvFile, IReadOnlyList<string> KeyFiles, IReadOnlyList<(string Setting, string Directory)> Archives, string SpoolDirectory);

/// <summary>
/// Looks, as the user that PostgreSQL runs as, whether its commands will be able to do their work: what root can read says nothing
/// about that. The system itself is asked, by test(1) run as that user, so that access lists and mounts count too.
/// </summary>
/// <param name="user">The user id that PostgreSQL runs as: the owner of its data directory, since it starts as no other.</param>
/// <param name="group">Its group id.</param>
/// <param name="launcher">Starts test(1).</param>
public sealed class ArchivingAccess(uint user, uint group, ProcessLauncher launcher)
{
    private const string Readable = "-r", Writable = "-w", Searchable = "-x";

    /// <summary>The name of PostgreSQL's user, or its number.</summary>
    public string User { get; } = LocalUsers.NameOf(user) ?? user.ToString(CultureInfo.InvariantCulture);

    /// <summary>False where we are another user than PostgreSQL's, and not root: then nothing can be told.</summary>
    public bool CanTell => Environment.IsPrivilegedProcess || user == LocalUsers.Effective;

    /// <summary>Looks as the owner of a data directory.</summary>
    /// <exception cref="BackupException">It is gone.</exception>
    public static ArchivingAccess Of(DataDirectory data, ProcessLauncher launcher) => LocalFiles.Look(data.Path, follow: true) is { } owner
        ? new ArchivingAccess(owner.User, owner.Group, launcher)
        : throw new BackupException(ErrorKind.Failed, $"the data directory {data.Path} is gone", "see where the server keeps it: SHOW data_directory");

    /// <summary>What is in the way of archiving, with the commands that mend it; and what is in the way only of recovery.</summary>
    public async Task<(IReadOnlyList<BackupException> Archiving, IReadOnlyList<BackupException> Recovery)> ProblemsAsync(
        ArchivingNeeds needs, CancellationToken cancel)
    {
        var archiving = new List<BackupException>();
        var recovery = new List<BackupException>();
        Add(archiving, await UnreadableAsync("this program", needs.Program, Searchable, $"chmod 755 {Word(needs.Program)}", cancel));
        if (needs.EnvFile is { } env)
        {
            Add(archiving, await UnreadableAsync("the settings", env, Readable, GiveGroup(env), cancel));
        }

        foreach (var key in needs.KeyFiles.Where(File.Exists))
        {
            Add(recovery, await UnreadableAsync("the key", key, Readable, GiveGroup(key), cancel));
        }

        foreach (var (setting, directory) in needs.Archives)
        {
            Add(archiving, await UnwritableAsync(setting, directory, cancel));
        }

        Add(archiving, await UnwritableAsync("BACKUP_SPOOL_DIR", needs.SpoolDirectory, cancel));
        return (archiving, recovery);
    }

    /// <summary>What is in the way of a recovery that fetches from the archive, with the commands that mend it.</summary>
    public async Task<IReadOnlyList<BackupException>> ProblemsOfRecoveryAsync(ArchivingNeeds needs, CancellationToken cancel)
    {
        var problems = new List<BackupException>();
        Add(problems, await UnreadableAsync("this program", needs.Program, Searchable, $"chmod 755 {Word(needs.Program)}", cancel));
        foreach (var (what, path) in needs.KeyFiles.Where(File.Exists).Select(static k => ("the key", k))
            .Concat(needs.EnvFile is { } env ? [("the settings", env)] : []))
        {
            Add(problems, await UnreadableAsync(what, path, Readable, GiveGroup(path), cancel));
        }

        foreach (var (setting, directory) in needs.Archives)
        {
            if (!await CanAsync(Searchable, directory, cancel))
            {
                var closed = await FirstClosedAsync(directory, cancel);
                Add(problems, new BackupException(
                    ErrorKind.Configuration,
                    $"PostgreSQL's user {User} can't read {setting}={directory}: it may not enter {closed}",
                    $"chmod o+x {Word(closed ?? directory)}, or make {User} its owner"));
            }
        }

        return problems;
    }

    private static void Add(List<BackupException> problems, BackupException? problem)
    {
        if (problem is not null)
        {
            problems.Add(problem);
        }
    }

    private async Task<BackupException?> UnreadableAsync(string what, string path, string how, string remedy, CancellationToken cancel)
    {
        if (await CanAsync(how, path, cancel))
        {
            return null;
        }

        var closed = await FirstClosedAsync(Path.GetDirectoryName(path)!, cancel);
        return new BackupException(
            ErrorKind.Configuration,
            $"PostgreSQL's user {User} can't {(how == Readable ? "read" : "run")} {what}, {path}{(closed is null ? string.Empty : $": it may not enter {closed}")}",
            closed is null ? remedy : $"chmod o+x {Word(closed)}, or keep that file elsewhere");
    }

    private async Task<BackupException?> UnwritableAsync(string setting, string path, CancellationToken cancel)
    {
        var existing = path;
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent)
        {
            existing = parent;
        }

        if (await CanAsync(Writable, existing, cancel) && await CanAsync(Searchable, existing, cancel))
        {
            return null;
        }

        var closed = await FirstClosedAsync(Path.GetDirectoryName(existing) ?? "/", cancel);
        var remedy = existing == path ? $"chown -R {User}: {Word(path)}" : $"install -d -o {User} -g {GroupOf()} -m 700 {Word(path)}";
        return new BackupException(
            ErrorKind.Configuration,
            $"PostgreSQL's user {User} can't {(existing == path ? "write to" : "make")} {setting}={path}{(closed is null ? string.Empty : $": it may not enter {closed}")}",
            closed is null ? remedy : $"chmod o+x {Word(closed)}, or set {setting} to a directory elsewhere");
    }

    private async Task<string?> FirstClosedAsync(string directory, CancellationToken cancel)
    {
        var above = new Stack<string>();
        for (var path = directory; path is not null; path = Path.GetDirectoryName(path))
        {
            above.Push(path);
        }

        foreach (var path in above)
        {
            if (!await CanAsync(Searchable, path, cancel))
            {
                return path;
            }
        }

        return null;
    }

    private async Task<bool> CanAsync(string how, string path, CancellationToken cancel)
    {
        var test = ProgramPath.Require("test", "coreutils");
        string[] arguments = [how, path];
        var command = user == LocalUsers.Effective
            ? new ChildCommand(test, arguments)
            : new ChildCommand(
                ProgramPath.Require("setpriv", "util-linux"), [$"--reuid={user}", $"--regid={group}", "--init-groups", "--", test, .. arguments]);
        await using var child = launcher.Start(command with { Directory = "/" });
        child.CloseInput();
        _ = await child.ReadTextAsync(cancel);
        return await child.WaitForExitAsync(cancel) switch
        {
            0 => true,
            1 when child.StderrTail.Length == 0 => false,
            var code => throw new BackupException(
                ErrorKind.Failed,
                $"whether PostgreSQL's user {User} may use {path} can't be told: {child.Name} ended with {code}: {child.StderrTail}",
                $"run this as {User}"),
        };
    }

    private string GroupOf() => LocalUsers.GroupName(group) ?? group.ToString(CultureInfo.InvariantCulture);

    private string GiveGroup(string path) => $"chgrp {GroupOf()} {Word(path)} && chmod 640 {Word(path)}";

    private static string Word(string path) => ShellText.Word(path);
}
