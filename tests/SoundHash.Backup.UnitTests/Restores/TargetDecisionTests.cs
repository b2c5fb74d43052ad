using SoundHash.Backup.Errors;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.UnitTests.Restores;

/// <summary>What becomes of a target, in every case.</summary>
public sealed class TargetDecisionTests
{
    [Theory]
    [InlineData("Missing", "Empty", "MakeNew", false)]
    [InlineData("Missing", "Clean", "MakeNew", false)]
    [InlineData("Missing", "Swap", "MakeNew", false)]
    [InlineData("Empty", "Empty", "FillExisting", false)]
    [InlineData("Empty", "Clean", "DropFirst", false)]
    [InlineData("Empty", "Swap", "SwapIn", false)]
    [InlineData("HasObjects", "Clean", "DropFirst", true)]
    [InlineData("HasObjects", "Swap", "SwapIn", true)]
    public void A_whole_set_goes_where_nothing_is_lost_unasked(string contents, string mode, string action, bool asks)
    {
        var decision = TargetDecision.Make(Enum.Parse<TargetState>(contents), Options(mode));

        Assert.Null(decision.Refusal);
        Assert.Equal(Enum.Parse<TargetAction>(action), decision.Action);
        Assert.Equal(asks, decision.NeedsConsent);
    }

    [Fact]
    public void A_database_with_objects_is_refused_unless_the_options_say_what_becomes_of_it()
    {
        Assert.Equal(ErrorKind.Failed, TargetDecision.Make(TargetState.HasObjects, Options("Empty")).Refusal?.Kind);
        Assert.Null(TargetDecision.Make(TargetState.HasObjects, Options("Empty") with { DataOnly = true }).Refusal);
        Assert.Null(TargetDecision.Make(TargetState.HasObjects, Options("Empty") with { Tables = ["t"] }).Refusal);
    }

    /// <summary>What is restored there would be in every new database.</summary>
    [Theory]
    [InlineData("Empty")]
    [InlineData("Clean")]
    [InlineData("Swap")]
    public void Nothing_is_ever_restored_into_a_template(string mode)
    {
        foreach (var options in (RestoreOptions[])[Options(mode), Options(mode) with { DataOnly = true }, Options(mode) with { Tables = ["t"] }])
        {
            var refusal = TargetDecision.Make(TargetState.Template, options).Refusal;

            Assert.Equal(ErrorKind.Usage, refusal?.Kind);
            Assert.Contains("is a template", refusal?.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Rows_alone_need_a_database() =>
        Assert.Equal(ErrorKind.Usage, TargetDecision.Make(TargetState.Missing, Options("Empty") with { DataOnly = true }).Refusal?.Kind);

    private static RestoreOptions Options(string mode) => new() { Target = "x", Mode = Enum.Parse<TargetMode>(mode) };
}
