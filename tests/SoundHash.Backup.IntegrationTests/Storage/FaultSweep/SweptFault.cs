using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.IntegrationTests.Storage.FaultSweep;

/// <summary>How a storage call fails.</summary>
public enum SweptFault
{
    /// <summary>It is refused, and nobody sends it again.</summary>
    Refused,

    /// <summary>It is carried out, and its answer says that it was refused: a proxy, or a store that changed its mind.</summary>
    DoneAndRefused,

    /// <summary>The connection is reset before the store has all of it.</summary>
    Cut,

    /// <summary>It is carried out, and the connection ends in place of an answer.</summary>
    AnswerLost,
}

internal static class SweptFaults
{
    /// <summary>True for what is tried again: nothing may come of it.</summary>
    public static bool Passes(this SweptFault fault) => fault is SweptFault.Cut or SweptFault.AnswerLost;

    /// <summary>The requests that it makes a difference for: one that only reads is the same whether it was carried out or not.</summary>
    public static Func<ScriptedRequest, bool> Which(this SweptFault fault) =>
        fault is SweptFault.Refused or SweptFault.Cut ? static _ => true : static r => r.Method is not ("GET" or "HEAD");

    /// <summary>The fault of one such request, which so many pass before.</summary>
    public static Fault Of(this SweptFault fault, SweptCloud cloud, int after) => fault switch
    {
        SweptFault.Refused => new Fault { When = fault.Which(), After = after, Answer = cloud.Refusal },
        SweptFault.DoneAndRefused => new Fault { When = fault.Which(), After = after, Change = _ => cloud.Refusal },
        SweptFault.Cut => new Fault { When = fault.Which(), After = after, CutRequestAfter = 0 },
        _ => new Fault { When = fault.Which(), After = after, CutsAnswer = true },
    };
}
