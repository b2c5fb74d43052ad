using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Restores;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.Cli;

/// <summary>A physical restore between the hooks, from the settings to the printed result. No server is asked.</summary>
internal sealed class PhysicalRestoreJob(CliSession cli, ParseResult parse, PhysicalTarget target, string? setId, StoreChoice from, bool planOnly, Func<string, bool> confirm)
{
    /// <summary>Restores, or only says what would be done, and returns the exit code.</summary>
    public async Task<int> RunAsync(SettingsReader settings, CancellationToken cancel)
    {
        var repository = RepositoryConfiguration.Read(settings, from);
        var wal = WalConfiguration.Read(settings, from.Only is [var store] ? store : null);
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var jobs = RunConfiguration.ReadJobs(settings);
        var meter = planOnly ? new TransferMeter(cli.Time) : cli.Meter(settings);
        var tools = cli.Tools(settings);
        var role = settings.Text("DATABASE_USER") ?? "postgres";
        var hooks = new HookScope(cli, settings, "restore");
        settings.ThrowIfInvalid();

        var own = new OwnDirectories(repository.Directories, wal.Directories, repository.StateDirectory, wal.SpoolDirectory);
        var options = target.Read(parse, setId, own, role, settings.EnvFilePath, jobs) with { KeyFiles = encryption.IdentityFiles, WalFrom = wal.From };
        if (settings.EnvFilePath is null)
        {
            cli.Log.Warning("no .env file is in use: PostgreSQL runs restore_command without your environment; add --env-file FILE");
        }

        var copies = await RepositoryAccess.LoadForRestoreAsync(cli, repository, cancel);
        var run = new PhysicalRestoreRun(
            copies, SetListing.Place(repository), RepositoryAccess.ReadWal(cli, wal), cli.Launcher, tools, cli.Providers(encryption).For, cli.Time, meter, cli.Log);
        var ready = await run.PrepareAsync(options, cancel);
        var pace = new RestorePace(repository.StateDirectory);
        if (planOnly)
        {
            cli.Print(PhysicalRestoreRun.Plan(ready, pace), ResultJson.Default.PhysicalRestorePlan, PhysicalOutput.Print);
            return ExitCodes.Success;
        }

        if (ready.Question is { } question && !confirm(question))
        {
            throw new BackupException(ErrorKind.Cancelled, "not confirmed; nothing was changed");
        }

        var reading = new SetReading(copies.Reader, repository.StateDirectory, reason => cli.Log.Warning("{Reason:l}", reason), cli.Time);
        PhysicalRestoreResult? result = null;
        var code = await hooks.RunAsync(
            [("FROM", ready.Set.Id), ("TARGETS", ready.TargetDirectory)],
            async () =>
            {
                using var use = await reading.BeginAsync(ready.Set.Id, cancel);
                ReplayProgress? replay = null;
                string? Replay() => replay is { } now ? PhysicalOutput.Describe(now) : null;
                await using (var shown = new ProgressReporter(cli, "restore", meter, () => ready.Bytes, Replay))
                {
                    result = await run.RunAsync(ready, progress => ShowFirst(shown, Interlocked.Exchange(ref replay, progress)), cancel);
                }

                await pace.RememberAsync(ready.Set, result.Phases);
                return ExitCodes.Success;
            },
            cancel);
        cli.Print(new PhysicalRestoreDocument(result!, code), ResultJson.Default.PhysicalRestoreDocument, PhysicalOutput.Print);
        return code;
    }

    // A recovery may be over before the next turn.
    private static void ShowFirst(ProgressReporter shown, ReplayProgress? before)
    {
        if (before is null)
        {
            shown.ShowNow();
        }
    }
}
