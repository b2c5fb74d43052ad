using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Restores;

/// <summary>Says in words what a restore does, from the same decisions that it is carried out by.</summary>
internal static class RestoreSteps
{
    public static IEnumerable<string> Of(
        SetSource source,
        IReadOnlyList<TableRecord> chosen,
        TargetDecision decision,
        RestoreOptions options)
    {
        if (decision.Refusal is { } refusal)
        {
            yield return $"refuse: {refusal.Message}";
            yield break;
        }

        if (options.Globals)
        {
            yield return "make missing roles and tablespaces";
        }

        if (decision.Action == TargetAction.DropFirst)
        {
            yield return decision.NeedsConsent
                ? $"verify set {source.Manifest.Id} in depth, then drop database \"{options.Target}\""
                : $"drop the empty database \"{options.Target}\"";
        }

        yield return decision.Action == TargetAction.FillExisting
            ? $"load into the existing database \"{options.Target}\" in one transaction, one stream after the other"
            : $"load into a new database, {(source.IsSplit && chosen.Count == 0 ? $"{options.Jobs} streams at once" : "one stream")}";
        var compared = (chosen.Count > 0 ? chosen : source.Contents.Tables).Count(static t => t.IsCompared);
        yield return options.SchemaOnly ? "analyze" : $"analyze and compare the rows of {compared} tables";
        yield return decision.Action == TargetAction.SwapIn
            ? $"swap names with \"{options.Target}\" and keep the old database"
            : $"the result is \"{options.Target}\"";
    }
}
