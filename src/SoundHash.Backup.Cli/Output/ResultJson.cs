using System.Text.Json;
using System.Text.Json.Serialization;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Repository;
using SoundHash.Backup.Repository.Copies;
using SoundHash.Backup.Restores;
using SoundHash.Backup.Restores.Physical;

namespace SoundHash.Backup.Cli.Output;

/// <summary>An error as JSON.</summary>
internal sealed record ErrorResult(string Kind, string Message, string? Hint, int ExitCode)
{
    public static ErrorResult Of(BackupException e) =>
        new(e.Kind.Word(), e.Message, e.Hint, ExitCodes.For(e.Kind));
}

/// <summary>The document of a verb that failed as a whole.</summary>
internal sealed record ErrorDocument(ErrorResult Error);

/// <summary>A set as JSON and in lists.</summary>
internal sealed record SetResult(
    string Id,
    string Kind,
    string Database,
    string Tier,
    DateTimeOffset Started,
    DateTimeOffset Stopped,
    DateTimeOffset Expires,
    bool Pinned,
    bool Complete,
    IReadOnlyList<string> DamagedObjects,
    long StoredBytes,
    long DatabaseBytes,
    string Encryption,
    string ServerVersion,
    string DumpVersion,
    string? SystemIdentifier,
    PhysicalResult? Physical)
{
    /// <summary>Where it is; null with a single store.</summary>
    public IReadOnlyList<CopyResult>? Copies { get; init; }

    public static SetResult Of(Manifest manifest, DateTimeOffset expires, CatalogueEntry? entry) => new(
        manifest.Id,
        manifest.Kind.Word(),
        manifest.Database,
        manifest.Tier.Word(),
        manifest.Started,
        manifest.Stopped,
        expires,
        entry?.Pinned ?? false,
        entry?.IsComplete ?? true,
        entry?.DamagedObjects.ToList() ?? [],
        manifest.StoredBytes,
        manifest.DatabaseBytes,
        string.Join('+', manifest.Objects.Select(static o => o.Encryption.Word()).Distinct()),
        manifest.ServerVersion,
        manifest.DumpVersion,
        manifest.SystemIdentifier,
        manifest.Physical is { } physical ? PhysicalResult.Of(physical) : null);
}

/// <summary>The copy of a set in one store, as a list of the store tells.</summary>
internal sealed record CopyResult(string Store, string State)
{
    /// <summary>Those of a set; null with a single store.</summary>
    public static IReadOnlyList<CopyResult>? Of(AllCopies copies, string id) => copies.Views.Count == 1
        ? null
        : copies.CopiesOf(id).Select(static c => new CopyResult(c.Store.Name, c.State.Word())).ToList();
}

/// <summary>What became of the copy of a new set in one store.</summary>
internal sealed record WrittenCopy(string Store, string State, long StoredBytes, double Seconds, double BytesPerSecond, ErrorResult? Error)
{
    public static WrittenCopy Of(CopyOutcome outcome) => new(
        outcome.Store,
        outcome.State.Word(),
        outcome.Bytes,
        outcome.Seconds,
        outcome.Seconds > 0 ? outcome.Bytes / outcome.Seconds : 0,
        outcome.Error is null ? null : ErrorResult.Of(outcome.Error));
}

/// <summary>What a physical set has beyond others: the WAL that it needs, and what was damaged on the server.</summary>
internal sealed record PhysicalResult(
    uint Timeline, string StartLsn, string StopLsn, string FirstSegment, string LastSegment, int Files, bool PageChecksums, int DamagedPages)
{
    public static PhysicalResult Of(PhysicalFacts facts) => new(
        facts.Timeline,
        facts.StartLsn,
        facts.StopLsn,
        facts.FirstSegment.Name,
        facts.LastSegment.Name,
        facts.Files,
        facts.PageChecksums,
        facts.DamagedPages.Count);
}

/// <summary>The document of <c>backup</c>.</summary>
internal sealed record BackupDocument(IReadOnlyList<BackupDocumentItem> Databases, double Seconds, int ExitCode);

/// <summary>One database of a backup run.</summary>
internal sealed record BackupDocumentItem(string Database, SetResult? Set, IReadOnlyList<WrittenCopy>? Copies, ErrorResult? Error);

/// <summary>The document of a dry run of <c>backup</c>.</summary>
internal sealed record BackupPlanDocument(
    string Kind, IReadOnlyList<string> Databases, long Bytes, string Store, string Encryption, string Compression, int Jobs, bool DryRun);

/// <summary>The document of <c>backup list</c>.</summary>
internal sealed record ListDocument(IReadOnlyList<SetResult> Sets, IReadOnlyList<BrokenSet> Broken, IReadOnlyList<UnfinishedSet> Unfinished);

/// <summary>What a run writes or removes just now, or was killed in.</summary>
internal sealed record UnfinishedSet(string Id, DateTimeOffset LastWritten)
{
    /// <summary>Those of a catalogue.</summary>
    public static IReadOnlyList<UnfinishedSet> Of(Catalogue catalogue) =>
        catalogue.Leftovers.Where(static l => l.Problem is null).Select(static l => new UnfinishedSet(l.Id, l.Newest)).ToList();
}

/// <summary>A set whose manifest can't be used, or is gone.</summary>
internal sealed record BrokenSet(string Id, string Problem, string? Hint = null)
{
    /// <summary>Those of a catalogue.</summary>
    public static IReadOnlyList<BrokenSet> Of(Catalogue catalogue) =>
        catalogue.Sets.Where(static s => s.Problem is not null)
            .Select(static s => new BrokenSet(s.Id, s.Problem!.Message, s.Problem.Hint))
            .Concat(catalogue.Leftovers.Where(static l => l.Problem is not null).Select(static l => new BrokenSet(l.Id, l.Problem!.Message, l.Problem.Hint)))
            .ToList();
}

/// <summary>The document of <c>backup show</c>: the manifest, and what is not in it since it changes.</summary>
internal sealed record ShowDocument(
    JsonElement Manifest, DateTimeOffset Expires, bool Pinned, IReadOnlyList<string> DamagedObjects, IReadOnlyList<CopyResult>? Copies);

/// <summary>The document of <c>backup verify</c>.</summary>
internal sealed record VerifyDocument(IReadOnlyList<VerifiedSet> Sets, IReadOnlyList<BrokenSet> Broken, bool Deep, int ExitCode);

/// <summary>
/// What verifying one set found: what is wrong, one line each; and whether no key opened it, so that little is known. The store is
/// named when there are several, each with a copy of its own.
/// </summary>
internal sealed record VerifiedSet(string SetId, long StoredBytes, IReadOnlyList<string> Problems, bool NotChecked)
{
    public string? Store { get; init; }

    public static VerifiedSet Of(VerificationResult result) => new(result.SetId, result.StoredBytes, result.Problems, result.IsSealed);
}

/// <summary>The document of <c>backup expire</c>.</summary>
internal sealed record ExpireDocument(IReadOnlyList<ExpireItem> Sets, bool DryRun, int ExitCode);

/// <summary>What becomes of one set.</summary>
internal sealed record ExpireItem(string Id, bool Expires, string Reason)
{
    /// <summary>Which copy, when there are several stores.</summary>
    public string? Store { get; init; }
}

/// <summary>The document of <c>backup replicate</c>.</summary>
internal sealed record ReplicateDocument(string From, string To, IReadOnlyList<ReplicateItem> Sets, int WalFiles, int ExitCode);

/// <summary>What became of one set.</summary>
internal sealed record ReplicateItem(string Id, int Objects, long Bytes, double Seconds, double BytesPerSecond, ErrorResult? Error)
{
    public static ReplicateItem Of(ReplicatedSet set) => new(
        set.Id, set.Objects, set.Bytes, set.Seconds, set.Seconds > 0 ? set.Bytes / set.Seconds : 0, set.Error is null ? null : ErrorResult.Of(set.Error));
}

/// <summary>The document of <c>restore --plan</c>.</summary>
internal sealed record PlanDocument(IReadOnlyList<RestorePlan> Plans, int ExitCode);

/// <summary>The document of <c>restore --file --plan</c>.</summary>
internal sealed record FilePlanDocument(FilePlan Plan, int ExitCode);

/// <summary>The document of <c>restore</c>.</summary>
internal sealed record RestoreDocument(IReadOnlyList<RestoreItem> Restores, int ExitCode);

/// <summary>The document of a physical <c>restore</c>.</summary>
internal sealed record PhysicalRestoreDocument(PhysicalRestoreResult Restore, int ExitCode);

/// <summary>One restored set or file.</summary>
internal sealed record RestoreItem(string From, string Target, RestoreResult? Result, ErrorResult? Error);

/// <summary>The document of <c>restore --list</c>.</summary>
internal sealed record RestoreListDocument(IReadOnlyList<RestorableSet> Sets, IReadOnlyList<BrokenSet> Broken, IReadOnlyList<UnfinishedSet> Unfinished, long? FreeBytesAtTarget);

/// <summary>A set as a person in need looks at it.</summary>
internal sealed record RestorableSet(SetResult Set, IReadOnlyList<string> Copies, double ExpectedSeconds, string ExpectedFrom);

/// <summary>The document of <c>encrypt</c> and <c>decrypt</c>: the file that was made.</summary>
internal sealed record FileDocument(string File);

/// <summary>The document of <c>backup keep</c> and <c>backup unkeep</c>.</summary>
internal sealed record PinDocument(string Id, bool Pinned);

/// <summary>The document of <c>wal-archive generate-config</c>.</summary>
internal sealed record ArchivingDocument(IReadOnlyList<ParameterResult> Parameters, string RestoreCommand, bool Applied);

/// <summary>A parameter of PostgreSQL.</summary>
internal sealed record ParameterResult(string Name, string Value, string? Current, bool Differs, bool NeedsRestart);

/// <summary>JSON of results, generated at compile time.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true)]
[JsonSerializable(typeof(ErrorDocument))]
[JsonSerializable(typeof(BackupDocument))]
[JsonSerializable(typeof(BackupPlanDocument))]
[JsonSerializable(typeof(ListDocument))]
[JsonSerializable(typeof(ShowDocument))]
[JsonSerializable(typeof(VerifyDocument))]
[JsonSerializable(typeof(ExpireDocument))]
[JsonSerializable(typeof(ReplicateDocument))]
[JsonSerializable(typeof(FileDocument))]
[JsonSerializable(typeof(PinDocument))]
[JsonSerializable(typeof(PlanDocument))]
[JsonSerializable(typeof(FilePlanDocument))]
[JsonSerializable(typeof(RestoreDocument))]
[JsonSerializable(typeof(PhysicalRestorePlan))]
[JsonSerializable(typeof(PhysicalRestoreDocument))]
[JsonSerializable(typeof(RestoreListDocument))]
[JsonSerializable(typeof(ArchivingDocument))]
[JsonSerializable(typeof(WalListDocument))]
[JsonSerializable(typeof(WalStatusDocument))]
[JsonSerializable(typeof(WalVerifyDocument))]
[JsonSerializable(typeof(WalCleanupDocument))]
internal sealed partial class ResultJson : JsonSerializerContext;
