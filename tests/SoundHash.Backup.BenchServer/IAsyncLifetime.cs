namespace Xunit;

/// <summary>What the fixtures of the tests implement, so that they work here without a test runner.</summary>
internal interface IAsyncLifetime : IAsyncDisposable
{
    /// <summary>Starts it.</summary>
    ValueTask InitializeAsync();
}
