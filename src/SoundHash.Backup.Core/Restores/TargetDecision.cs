using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Restores;

/// <summary>What is under the target's name before a restore.</summary>
internal enum TargetState
{
    /// <summary>No database.</summary>
    Missing,

    /// <summary>A database without anything of its own.</summary>
    Empty,

    /// <summary>A database with objects.</summary>
    HasObjects,

    /// <summary>A database that new ones are made from.</summary>
    Template,
}

/// <summary>What a restore does with what is there.</summary>
internal enum TargetAction
{
    /// <summary>Makes a new database.</summary>
    MakeNew,

    /// <summary>Fills the existing one, in one transaction.</summary>
    FillExisting,

    /// <summary>Drops the existing one, then makes a new one.</summary>
    DropFirst,

    /// <summary>Makes a new one beside the existing one, then swaps their names.</summary>
    SwapIn,
}

/// <summary>The one place that decides what becomes of the target; a plan shows it, and a restore carries it out.</summary>
/// <param name="State">What is there.</param>
/// <param name="Action">What is done.</param>
/// <param name="Refusal">Why nothing is done, or null.</param>
internal sealed record TargetDecision(TargetState State, TargetAction Action, BackupException? Refusal)
{
    /// <summary>True when a person has to agree first.</summary>
    public bool NeedsConsent => State == TargetState.HasObjects && Action is TargetAction.DropFirst or TargetAction.SwapIn;

    /// <summary>What is there, for a plan.</summary>
    public string StateInWords => State switch
    {
        TargetState.Missing => "missing",
        TargetState.Empty => "empty",
        TargetState.Template => "template",
        _ => "has objects",
    };

    /// <summary>Looks at the target and decides.</summary>
    public static async Task<TargetDecision> MakeAsync(TargetServer server, RestoreOptions options, CancellationToken cancel)
    {
        var state = !await server.ExistsAsync(options.Target, cancel) ? TargetState.Missing
            : await server.IsTargetTemplateAsync(cancel) ? TargetState.Template
            : await server.TargetHasObjectsAsync(cancel) ? TargetState.HasObjects
            : TargetState.Empty;
        return Make(state, options);
    }

    public static TargetDecision Make(TargetState state, RestoreOptions options)
    {
        var action = (state, options.Mode) switch
        {
            (TargetState.Missing, _) => TargetAction.MakeNew,
            (_, TargetMode.Clean) => TargetAction.DropFirst,
            (_, TargetMode.Swap) => TargetAction.SwapIn,
            _ => TargetAction.FillExisting,
        };
        return new TargetDecision(state, action, Refuse(state, action, options));
    }

    private static BackupException? Refuse(TargetState state, TargetAction action, RestoreOptions options)
    {
        if (state == TargetState.Template)
        {
            return new BackupException(
                ErrorKind.Usage,
                $"database \"{options.Target}\" is a template: every new database of the server would have in it what is restored there; nothing was changed",
                "restore into a database of another name (--target-db NAME)"
                + (options.Target is "template0" or "template1" ? string.Empty
                    : $", or take the mark away: ALTER DATABASE {SqlText.Identifier(options.Target)} IS_TEMPLATE false"));
        }

        if (options.DataOnly && state == TargetState.Missing)
        {
            return new BackupException(
                ErrorKind.Usage,
                $"--data-only needs the tables of database \"{options.Target}\", which does not exist",
                "restore without --data-only");
        }

        var collides = state == TargetState.HasObjects && action == TargetAction.FillExisting;
        return collides && !options.DataOnly && options.Tables.Count == 0
            ? new BackupException(
                ErrorKind.Failed,
                $"database \"{options.Target}\" has objects; nothing was changed",
                "--target-db NAME restores beside it, --swap puts the restored one in its place and keeps it, --clean drops it first")
            : null;
    }
}
