using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCaseOrderer(typeof(SoundHash.Backup.IntegrationTests.Infrastructure.TestOrder))]

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// The order of a class's tests: by name, wherever the build lies (xunit's own depends on the path of the assembly, so that a clean
/// clone runs another order); with SHBACKUP_TEST_ORDER_SEED one by chance, in which every test has to pass as well.
/// </summary>
public sealed class TestOrder : ITestCaseOrderer
{
    /// <inheritdoc/>
    public IReadOnlyCollection<TTestCase> OrderTestCases<TTestCase>(IReadOnlyCollection<TTestCase> testCases)
        where TTestCase : notnull, ITestCase
    {
        var ordered = testCases.OrderBy(static t => t.TestCaseDisplayName, StringComparer.Ordinal).ToArray();
        if (RandomRun.NumberOf("SHBACKUP_TEST_ORDER_SEED") is { } seed)
        {
            new Random(seed).Shuffle(ordered);
        }

        return ordered;
    }
}
