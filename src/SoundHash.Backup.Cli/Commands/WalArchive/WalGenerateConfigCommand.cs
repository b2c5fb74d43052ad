using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository.Archive;
using SoundHash.Backup.Wal;

namespace SoundHash.Backup.Cli.Commands.WalArchive;

/// <summary>shbackup wal-archive generate-config: what postgresql.conf needs.</summary>
internal sealed class WalGenerateConfigCommand : VerbCommand
{
    private readonly Option<bool> _apply = new("--apply") { Description = "Set it on the server (ALTER SYSTEM), and say what needs a restart" };

    private readonly Option<bool> _replace = new("--replace") { Description = "With --apply: also where another program archives the WAL now, which then no longer does" };

    public WalGenerateConfigCommand(CommonOptions common)
        : base("generate-config", "Print what postgresql.conf needs for WAL to be archived", common)
    {
        Options.Add(_apply);
        Options.Add(_replace);
    }

    public override IReadOnlyList<string> Examples { get; } =
        ["shbackup wal-archive generate-config", "shbackup wal-archive generate-config --env-file /etc/shbackup/.env --apply"];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.ToolMissing, ErrorKind.ChildFailed, ErrorKind.Storage];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var server = DatabaseConfiguration.Read(settings);
        var wal = WalConfiguration.ReadForArchiving(settings);
        var keys = EncryptionConfiguration.ReadForDecryption(settings);
        settings.ThrowIfInvalid();

        await using var session = await Session.OpenAnyAsync(server, cancel);
        var data = await DataDirectoryOfAsync(session, cancel);
        foreach (var (setting, directory) in wal.Directories)
        {
            data.EnsureOutside(setting, directory);
        }

        data.EnsureOutside("BACKUP_SPOOL_DIR", wal.SpoolDirectory);
        var spool = WalSpool.Of(wal.SpoolDirectory, data.SystemIdentifier, data.Path);
        var program = Environment.ProcessPath!;
        var parameters = await ArchivingConfig.ReadAsync(
            session, WalCommandText.Archive(program, settings.EnvFilePath, spool.Folder), cancel);
        var restore = WalCommandText.Restore(program, settings.EnvFilePath, spool.FetchFolder);
        if (settings.EnvFilePath is null)
        {
            cli.Log.Warning("no .env file is in use: PostgreSQL runs the commands without your environment; add --env-file FILE");
        }

        var apply = parse.GetValue(_apply);
        await EnsureAccessAsync(
            cli, data, new ArchivingNeeds(program, settings.EnvFilePath, keys.IdentityFiles, wal.Directories, wal.SpoolDirectory), apply, cancel);
        if (apply)
        {
            if (!parse.GetValue(_replace) && parameters.FirstOrDefault(static p => p.IsOfAnother) is { } other)
            {
                throw new BackupException(
                    ErrorKind.Configuration,
                    $"nothing was set: {session.Settings.Server} gives its WAL to another program, {other.Name} = {ConfText.Quote(other.Current!)}",
                    "with --apply --replace that program gets no more of it; to keep both, let that command call both, and fail when either does");
            }

            await ArchivingConfig.ApplyAsync(session, parameters, cancel);
        }

        var items = parameters.Select(static p => new ParameterResult(p.Name, p.Value, p.Current, p.Differs, p.NeedsRestart)).ToList();
        cli.Print(new ArchivingDocument(items, restore, apply), ResultJson.Default.ArchivingDocument, Print);
        return ExitCodes.Success;
    }

    // A command that PostgreSQL's user can't run is worse than none: it looks set up, and archives nothing.
    private static async Task EnsureAccessAsync(CliSession cli, DataDirectory data, ArchivingNeeds needs, bool apply, CancellationToken cancel)
    {
        var access = ArchivingAccess.Of(data, cli.Launcher);
        if (!access.CanTell)
        {
            cli.Log.Warning(
                "whether PostgreSQL's user {User:l} can read the settings and write to BACKUP_WAL_DIR and BACKUP_SPOOL_DIR can't be told by this user; run this as root, or as {User:l}",
                access.User,
                access.User);
            return;
        }

        var (archiving, recovery) = await access.ProblemsAsync(needs, cancel);
        foreach (var problem in recovery.Concat(archiving.Skip(apply ? 1 : 0)))
        {
            cli.Log.Warning("{Message:l}; {Hint:l}", problem.Message, problem.Hint);
        }

        if (apply && archiving.Count > 0)
        {
            throw new BackupException(
                archiving[0].Kind, $"nothing was set: {archiving[0].Message}", $"{archiving[0].Hint}; then run this again");
        }
    }

    private static async Task<DataDirectory> DataDirectoryOfAsync(Session session, CancellationToken cancel)
    {
        var path = await session.TextAsync("SHOW data_directory", cancel);
        if (!Directory.Exists(path))
        {
            throw new BackupException(
                ErrorKind.Failed,
                $"the data directory {path} of {session.Settings.Server} is not on this machine",
                "run this on the server's machine, as the user that PostgreSQL runs as");
        }

        return DataDirectory.Open(path);
    }

    private static void Print(Terminal terminal, ArchivingDocument document)
    {
        foreach (var item in document.Parameters)
        {
            var was = item.Differs ? $"was {ConfText.Quote(item.Current ?? string.Empty)}" : "as it is";
            terminal.Line($"{item.Name} = {ConfText.Quote(item.Value)}  # {(document.Applied && item.Differs ? $"set; {was}" : was)}{(item.Differs && item.NeedsRestart ? "; needs a restart" : string.Empty)}");
        }

        terminal.Line("# for recovery, which shbackup restore sets by itself:");
        terminal.Line($"# restore_command = {ConfText.Quote(document.RestoreCommand)}");
    }
}
