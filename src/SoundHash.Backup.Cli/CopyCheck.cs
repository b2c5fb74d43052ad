using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Cli;

/// <summary>Reads the copies of sets in one store back.</summary>
internal sealed class CopyCheck(
    CliSession cli,
    IObjectStore store,
    string stateDirectory,
    PgToolFinder tools,
    EncryptionProviders providers,
    ConsistencyCheck consistency,
    TransferMeter meter,
    int jobs,
    bool deep)
{
    private readonly SetVerifier _verifier = new(store, cli.Launcher, meter);

    /// <summary>What was found, for each set. One that can't be read at all does not keep the others from being looked at.</summary>
    public async Task<IReadOnlyList<VerificationResult>> RunAsync(Catalogue catalogue, IReadOnlyList<Manifest> sets, CancellationToken cancel)
    {
        var lacking = sets.Any(static m => m.Kind == SetKind.Physical)
            ? await consistency.LackingAsync(catalogue, cancel)
            : new Dictionary<string, BackupException>();
        var results = new List<VerificationResult>();
        foreach (var set in sets)
        {
            var result = await VerifyAsync(set, cancel);
            var ofWal = lacking.GetValueOrDefault(set.Id) is { } lack ? [lack] : await consistency.DamageAsync(set, meter, cancel);
            results.Add(result with { Findings = [.. result.Findings, .. ofWal] });
            cancel.ThrowIfCancellationRequested();
        }

        return results;
    }

    private async Task<VerificationResult> VerifyAsync(Manifest set, CancellationToken cancel)
    {
        try
        {
            using var use = await SetUse.BeginAsync(
                stateDirectory, store, set.Id, reason => cli.Log.Debug("{Reason:l}", reason), cli.Time, cancel);
            return (deep, set.Kind) switch
            {
                (false, _) => await _verifier.VerifyStoredAsync(set, jobs, cancel),
                (true, SetKind.Physical) => await _verifier.VerifyDeepPhysicalAsync(set, providers.For, jobs, cancel),
                _ => await _verifier.VerifyDeepAsync(set, await tools.ForRestoreAsync(set.DumpMajor, 0, cancel), providers.For, jobs, cancel),
            };
        }
        catch (BackupException e)
        {
            return new VerificationResult(set.Id, 0, [e]) { IsSealed = e.Kind == ErrorKind.Encryption };
        }
    }
}
