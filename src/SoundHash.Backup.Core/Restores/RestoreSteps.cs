using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Says in words what a restore does, from the same decisions that it is carried out by, and in the order of
/// <see cref="RestoreRun"/>, <see cref="LogicalRestore"/>, <see cref="FileRestore"/> and <see cref="NewDatabase"/>.
/// </summary>
internal static class RestoreSteps
{
    public static IEnumerable<string> Of(
        SetSource source,
        IReadOnlyList<TableRecord> chosen,
        TargetDecision decision,
        RestoreOptions options)
    {
        if (decision is { Action: TargetAction.DropFirst, NeedsConsent: true })
        {
            yield return $"verify set {source.Manifest.Id} in depth";
        }

        if (options.Globals)
        {
            yield return "make missing roles and tablespaces";
        }

        if (!options.DataOnly)
        {
            yield return "check that the server has the roles, tablespaces and extensions that are needed";
        }

        if (decision.Action != TargetAction.FillExisting)
        {
            yield return "make a new database under a working name";
        }

        if (decision.Action == TargetAction.DropFirst)
        {
            yield return Drop(decision, options);
        }

        yield return decision.Action == TargetAction.FillExisting
            ? $"load into the existing database \"{options.Target}\" in one transaction, one stream after the other"
            : $"load into the new database, {(source.IsSplit && chosen.Count == 0 ? $"{options.Jobs} streams at once" : "one stream")}";
        var compared = (chosen.Count > 0 ? chosen : source.Contents.Tables).Count(static t => t.IsCompared);
        yield return options.SchemaOnly ? "analyze" : $"compare the rows of {compared} tables and analyze";
        yield return End(decision, options);
        if (decision.Action != TargetAction.FillExisting && source.Contents.Database.IsTemplateAs(options.Target))
        {
            yield return "mark it as a template";
        }
    }

    /// <summary>Those of a bare file: an old database is dropped last, since nothing tells beforehand that a file will load.</summary>
    /// <param name="file">The file.</param>
    /// <param name="streams">Processes that load it into a new database.</param>
    /// <param name="decision">What becomes of the target.</param>
    /// <param name="options">What of it is wanted.</param>
    public static IEnumerable<string> OfFile(BareFile file, int streams, TargetDecision decision, RestoreOptions options)
    {
        var what = options.Tables.Count > 0 ? string.Join(", ", options.Tables) : file.IsScript ? "the script" : "the archive";
        if (decision is { Action: TargetAction.DropFirst, NeedsConsent: true })
        {
            yield return "read the file as far as that tells whether it can be restored";
        }

        if (decision.Action != TargetAction.FillExisting)
        {
            yield return "make a new database under a working name";
        }

        yield return (decision.Action, file.IsScript) switch
        {
            (TargetAction.FillExisting, true) =>
                $"run the script in the existing database \"{options.Target}\" in one transaction, unless it begins and ends transactions itself",
            (TargetAction.FillExisting, _) => $"load {what} into the existing database \"{options.Target}\" in one transaction",
            (_, true) => "run the script in the new database",
            _ => $"load {what} into the new database, {(streams > 1 ? $"{streams} processes at once" : "one stream")}",
        };
        yield return "analyze; no rows are compared, since a file does not say how many there were";
        if (decision.Action == TargetAction.DropFirst)
        {
            yield return Drop(decision, options);
        }

        yield return End(decision, options);
    }

    private static string Drop(TargetDecision decision, RestoreOptions options) =>
        $"drop {(decision.State == TargetState.Empty ? "the empty database" : "database")} \"{options.Target}\"";

    private static string End(TargetDecision decision, RestoreOptions options) => decision.Action switch
    {
        TargetAction.SwapIn => $"swap names with \"{options.Target}\" and keep the old database",
        TargetAction.FillExisting => $"the result is in \"{options.Target}\"",
        _ => $"give it the name \"{options.Target}\"",
    };
}
