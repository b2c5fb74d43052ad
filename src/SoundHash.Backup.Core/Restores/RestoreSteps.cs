using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>
/// Says in words what a restore does, from the same decisions that it is carried out by, and in the order of
/// <see cref="RestoreRun"/>, <see cref="LogicalRestore"/> and <see cref="NewDatabase"/>.
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
            yield return $"drop {(decision.State == TargetState.Empty ? "the empty database" : "database")} \"{options.Target}\"";
        }

        yield return decision.Action == TargetAction.FillExisting
            ? $"load into the existing database \"{options.Target}\" in one transaction, one stream after the other"
            : $"load into the new database, {(source.IsSplit && chosen.Count == 0 ? $"{options.Jobs} streams at once" : "one stream")}";
        var compared = (chosen.Count > 0 ? chosen : source.Contents.Tables).Count(static t => t.IsCompared);
        yield return options.SchemaOnly ? "analyze" : $"compare the rows of {compared} tables and analyze";
        yield return decision.Action switch
        {
            TargetAction.SwapIn => $"swap names with \"{options.Target}\" and keep the old database",
            TargetAction.FillExisting => $"the result is in \"{options.Target}\"",
            _ => $"give it the name \"{options.Target}\"",
        };
        if (decision.Action != TargetAction.FillExisting && source.Contents.Database.IsTemplateAs(options.Target))
        {
            yield return "mark it as a template";
        }
    }
}
