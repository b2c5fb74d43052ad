using System.Globalization;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Cli;

/// <summary>One table says which number means what, and the documentation has the same.</summary>
public sealed class ExitCodeTests
{
    [Fact]
    public void Every_kind_of_error_has_a_code_of_its_own_and_none_is_that_of_success()
    {
        var codes = Enum.GetValues<ErrorKind>().Select(ExitCodes.For).ToList();

        Assert.Equal(codes.Count, codes.Distinct().Count());
        Assert.DoesNotContain(ExitCodes.Success, codes);
        Assert.Equal(ExitCodes.All.Select(static e => e.Code).Order(), codes.Append(ExitCodes.Success).Order());
        // PostgreSQL and shells take what is above 125 for a signal or worse.
        Assert.All(codes.Where(static c => c != ExitCodes.For(ErrorKind.Cancelled)), static c => Assert.InRange(c, 1, 125));
    }

    [Fact]
    public void The_documentation_has_the_same_codes_kinds_and_meanings()
    {
        var documented = SourceTree.Read("docs", "exit-codes.md").Split('\n')
            .Select(static l => l.Split('|', StringSplitOptions.TrimEntries))
            .Where(static c => c.Length == 6 && int.TryParse(c[1], CultureInfo.InvariantCulture, out _))
            .Select(static c => (Code: c[1], Kind: c[2], Meaning: c[3]));

        var known = ExitCodes.All.Select(static e =>
            (Code: e.Code.ToString(CultureInfo.InvariantCulture), Kind: e.Kind?.Word() ?? string.Empty, e.Meaning));

        Assert.Equal(known, documented);
    }

    [Theory]
    [InlineData(new int[0], 0)]
    [InlineData(new[] { 0, 0 }, 0)]
    [InlineData(new[] { 0, 10 }, 10)]
    [InlineData(new[] { 10, 9, 0 }, 9)]
    [InlineData(new[] { 9, 1, 10 }, 1)]
    [InlineData(new[] { 5, 8, 9 }, 8)]
    [InlineData(new[] { 8, 130, 9 }, 130)]
    public void The_worst_of_several_is_a_real_failure_over_a_lock_over_a_missing_optional_copy(int[] codes, int worst)
    {
        Assert.Equal(worst, ExitCodes.Worst(codes));
    }
}
