using Serilog;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Postgres;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Local;

namespace SoundHash.Backup.Restores.Physical;

/// <summary>
/// Writes a set into a data directory. pg_control comes last, when everything else is checked and durable: without it no server
/// starts, so that half a restore is never taken for a whole one.
/// </summary>
internal sealed class DataDirectoryRestore(
    IObjectStore store,
    Func<EncryptionMethod, IEncryptionProvider> providers,
    PreparedRestore ready,
    TimeProvider time,
    TransferMeter meter,
    ILogger log)
{
    private readonly PhaseClock _clock = new(time);
    private readonly VolumeCheck _check = new(ready.Set.Id, ready.Contents);
    private IReadOnlySet<string> _kept = new HashSet<string>();
    private int _removed;
    private bool _hasBegun;

    /// <summary>Writes the set, the settings of its recovery, and pg_control last.</summary>
    /// <exception cref="BackupException">It failed; the message says what is left.</exception>
    public async Task<(PhysicalRestoreResult Result, OutsideConfiguration Outside, DataOwner? Owner)> RunAsync(CancellationToken cancel)
    {
        // Files go to whom the directory belongs to: looked at before it is made.
        var owner = DataOwner.Of(ready.TargetDirectory);
        var writer = new DataWriter(ready.TargetDirectory, owner);
        var outside = new OutsideConfiguration(writer, ready.TargetDirectory == ready.Contents.DataDirectory);
        try
        {
            return (await RestoreAsync(writer, outside, owner, cancel), outside, owner);
        }
        catch (Exception e) when (!_hasBegun && e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Storage,
                $"can't begin to restore into {ready.TargetDirectory}: {e.Message}",
                $"check owner, mode and free space of it and of {Path.GetDirectoryName(ready.TargetDirectory)} (ls -ld, df), and restore again as before",
                e);
        }
        catch (Exception e) when (_hasBegun && e is BackupException or OperationCanceledException or IOException or UnauthorizedAccessException)
        {
            var (kind, message) = e switch
            {
                _ when cancel.IsCancellationRequested => (ErrorKind.Cancelled, "cancelled"),
                BackupException known => (known.Kind, known.Message),
                _ => (ErrorKind.Storage, e.Message),
            };
            var places = string.Join(", ", ready.Tablespaces.Select(static t => t.Location).Prepend(ready.TargetDirectory));
            throw new BackupException(
                kind,
                $"{message}; what was written is left in {places}, {Without(writer)}",
                $"{((e as BackupException)?.Hint is { } hint ? $"{hint}; then " : string.Empty)}restore again with --delta, which goes on with what is "
                + "there, or remove it first",
                e);
        }
    }

    // It may be the last step that failed, or the first.
    private static string Without(DataWriter writer) => File.Exists(writer.PathOf(ControlFile.RelativePath))
        ? "and it is not finished: do not start a server from it"
        : $"without {ControlFile.RelativePath}, so that no server starts from it";

    private async Task<PhysicalRestoreResult> RestoreAsync(
        DataWriter writer, OutsideConfiguration outside, DataOwner? owner, CancellationToken cancel)
    {
        EnsureUnchanged();
        log.Information("restoring set {Id} into {Directory}", ready.Set.Id, ready.TargetDirectory);
        using var disks = new FileSystemSync();
        SaveOldWal(owner);
        EnsureUnchanged();
        writer.MakeDirectory(string.Empty);
        disks.Watch(ready.TargetDirectory);
        // What names the data directory may be on another.
        disks.Watch(Path.GetDirectoryName(ready.TargetDirectory)!);
        using var mark = new RestoreMark(ready.SystemIdentifier, ready.SavedWal).Write(writer);
        _hasBegun = true;
        if (ready.IsInPlace)
        {
            await _clock.RunAsync("comparison", () => Task.Run(() => Clean(writer, cancel), cancel));
        }

        MakeDirectories(writer, disks);
        await _clock.RunAsync("files", () => ReadVolumesAsync(writer, cancel));
        byte[] control = [];
        await _clock.RunAsync("last files", async () => control = await ReadFinalAsync(writer, outside, cancel));
        outside.PutBack();
        WriteSettings(writer);
        ready.Spool.Clear();
        await _clock.RunAsync("sync", () => Task.Run(disks.Sync, cancel));
        cancel.ThrowIfCancellationRequested();
        writer.Write(ControlFile.RelativePath, control, durable: true);
        LocalFiles.SyncDirectory(Path.GetDirectoryName(writer.PathOf(ControlFile.RelativePath))!);
        RestoreMark.Remove(writer);
        return new PhysicalRestoreResult(
            ready.Set.Id,
            ready.TargetDirectory,
            ready.Options.Target.ToString(),
            ready.Chosen.Timeline,
            ready.Contents.Files.Count,
            _kept.Count,
            _removed,
            ready.Contents.Files.Where(f => !_kept.Contains(f.Path)).Sum(static f => f.Size),
            ready.SavedWal,
            outside.Placed.Select(static p => p.From == p.To ? p.To : $"{p.From} is in {p.To}").ToList(),
            Reached: null,
            PhysicalSteps.Next(ready, outside),
            _clock.Phases);
    }

    // While a person was asked, or old WAL was saved, another restore or a server may have begun there, or been there.
    private void EnsureUnchanged()
    {
        var now = TargetDirectory.Look(ready.TargetDirectory, ready.Options.Own);
        now.EnsureFree(ready.Options.Delta);
        if (now.Content != ready.Target.Content)
        {
            throw new BackupException(
                ErrorKind.Failed, $"{ready.TargetDirectory} has changed since it was looked at: it {now.State}; nothing was changed", "look at it, and restore again");
        }

        if (ready.IsInPlace)
        {
            ready.OldWal.EnsureUnchanged(ready.TargetDirectory);
            TablespacePlan.EnsureFree(ready.Tablespaces, ready.TargetDirectory);
            LivePlaces.EnsureUnused(ready.TargetDirectory, ready.Tablespaces);
        }
    }

    private void SaveOldWal(DataOwner? owner)
    {
        if (ready.OldWal.Files.Count > 0)
        {
            log.Information("saving {Count} files of WAL that the archive lacks in {Folder:l}", ready.OldWal.Files.Count, ready.SavedWal);
            ready.OldWal.Save(ready.SavedWal!, owner);
        }
    }

    // First of all no server can start from it any more.
    private void Clean(DataWriter writer, CancellationToken cancel)
    {
        var control = writer.PathOf(ControlFile.RelativePath);
        if (File.Exists(control))
        {
            File.Delete(control);
            LocalFiles.SyncDirectory(Path.GetDirectoryName(control)!);
        }

        var delta = new DeltaFiles(ready.TargetDirectory, ready.Contents, ready.Tablespaces, ready.OldWal.Files);
        _kept = delta.Clean(ready.Options.Jobs, cancel);
        _removed = delta.Removed;
        foreach (var path in _kept.Concat(ready.OldWal.Files.Values))
        {
            writer.Take(path);
        }
    }

    // The links of tablespaces are made before what goes through them.
    private void MakeDirectories(DataWriter writer, FileSystemSync disks)
    {
        foreach (var directory in ready.Contents.Directories)
        {
            if (ready.Tablespaces.FirstOrDefault(t => directory == $"pg_tblspc/{t.Oid}") is { } space)
            {
                writer.MakeDirectory(space.Location);
                disks.Watch(space.Location);
                if (!TablespacePlan.IsInPlace(ready.TargetDirectory, space))
                {
                    writer.Link(directory, space.Location);
                }
            }
            else
            {
                // Any of them may be where another disk is mounted.
                writer.MakeDirectory(directory);
                disks.Watch(writer.PathOf(directory));
            }
        }
    }

    private async Task ReadVolumesAsync(DataWriter writer, CancellationToken cancel)
    {
        var needed = ready.Contents.Files.Where(f => !_kept.Contains(f.Path)).Select(static f => f.Object).ToHashSet();
        foreach (var unread in ready.Contents.Files.Where(f => !needed.Contains(f.Object)))
        {
            _check.TakeAsSeen(unread);
        }

        var volumes = ready.Set.Objects.Where(o => o.Role == ObjectRole.Volume && needed.Contains(o.Key));
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = ready.Options.Jobs, CancellationToken = cancel };
        await Parallel.ForEachAsync(volumes, parallel, (volume, stop) => ReadAsync(volume, name => _kept.Contains(name) ? null : writer.Create(name), stop));
    }

    private async Task<byte[]> ReadFinalAsync(DataWriter writer, OutsideConfiguration outside, CancellationToken cancel)
    {
        using var control = new MemoryStream();
        await ReadAsync(
            ready.Set.Single(ObjectRole.Final),
            name => name == ControlFile.RelativePath ? control : OutsideConfiguration.Is(name) ? outside.Create(name) : writer.Create(name),
            cancel);
        if (_check.Missing().FirstOrDefault() is { } missing)
        {
            throw missing;
        }

        var bytes = control.ToArray();
        return ControlFile.IsWhole(bytes) && ControlFile.SystemIdentifierOf(bytes) == ready.SystemIdentifier
            ? bytes
            : throw new BackupException(
                ErrorKind.Verification,
                $"{ControlFile.RelativePath} of set {ready.Set.Id} is damaged, or of another cluster than {ready.SystemIdentifier}",
                "use another set: shbackup backup list");
    }

    private async ValueTask ReadAsync(ObjectRecord item, Func<string, Stream?> open, CancellationToken cancel)
    {
        // Each file has sums of its own; what stands between them is read by nobody.
        var how = item.Role == ObjectRole.Volume ? PlainCheck.Length : PlainCheck.Whole;
        await using var plain = await SealedObject.OpenPlainAsync(store, ready.Set.Id, item, how, providers, cancel);
        await _check.ReadAsync(item, plain, meter, open, cancel);
    }

    private void WriteSettings(DataWriter writer)
    {
        var path = writer.PathOf(RecoverySettings.File);
        var old = File.Exists(path) ? File.ReadAllBytes(path) : [];
        File.Delete(path);
        writer.Write(RecoverySettings.File, RecoverySettings.Rewrite(old, ready));
        writer.Write(ready.Options.Standby is null ? "recovery.signal" : "standby.signal", []);
    }
}
