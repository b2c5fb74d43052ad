using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>Connections that break or stand still at every step of writing an object.</summary>
public sealed class S3CutTests : ScriptedS3Tests
{
    public static TheoryData<string, string, WriteMode, Conditions> Cuts
    {
        get
        {
            var cuts = new TheoryData<string, string, WriteMode, Conditions>();
            foreach (var step in (string[])["put", "begin", "part", "finish"])
            {
                foreach (var where in (string[])["in the request", "before the answer", "in the answer", "stall in the request", "stall before the answer"])
                {
                    cuts.Add(step, where, WriteMode.CreateNew, Conditions.Honoured);
                    cuts.Add(step, where, WriteMode.CreateNew, Conditions.Refused);
                    cuts.Add(step, where, WriteMode.Replace, Conditions.Honoured);
                }
            }

            return cuts;
        }
    }

    // Wherever it happens, and whether or not the store has done its work: the answer may be all that is lost.
    [Theory]
    [MemberData(nameof(Cuts))]
    public async Task A_connection_that_breaks_leaves_one_object_that_is_right(string step, string where, WriteMode mode, Conditions conditions)
    {
        await S3.DisposeAsync();
        S3 = new ScriptedS3 { Conditions = conditions };
        Func<ScriptedRequest, bool> when = step switch { "put" => IsPut, "begin" => IsBegin, "part" => IsPart, _ => IsFinish };
        var text = step == "put" ? Large[..200_000] : Large;
        var known = conditions is Conditions.Honoured ? ConditionalWrites.Honoured : ConditionalWrites.Unsupported;
        var stalls = where.StartsWith("stall", StringComparison.Ordinal);
        using var store = Open(Options with { ConditionalWrites = known, Stall = TimeSpan.FromSeconds(stalls ? 0.15 : 10) });
        // A store that was heard of has attempts enough for a machine that is busy as well.
        await store.StatAsync("k", Cancel);
        for (var which = 0; which < (stalls ? 1 : 2); which++)
        {
            S3.Server.Fail(where switch
            {
                "in the request" => new Fault { When = when, CutRequestAfter = 40 },
                "before the answer" => new Fault { When = when, CutsAnswer = true },
                "in the answer" => new Fault { When = when, CutAnswerAfter = step is "put" or "part" ? 0 : 20 },
                "stall in the request" => new Fault { When = when, StallRequestAfter = 40 },
                _ => new Fault { When = when, Delay = Timeout.InfiniteTimeSpan },
            });
        }

        await store.PutAsync("k", text, mode);

        Assert.Equal(text, Stored("k"));
        // Whoever looks first finds the object of a lost answer there, and need not repeat it.
        Assert.InRange(S3.Server.Failures, 1, 2);
    }
}
