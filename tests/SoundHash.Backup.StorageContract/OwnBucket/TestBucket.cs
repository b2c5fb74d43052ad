using SoundHash.Backup.Storage.S3;

namespace SoundHash.Backup.StorageContract.OwnBucket;

/// <summary>
/// A bucket of whoever runs the tests. These files are compiled only where SHBACKUP_TEST_S3_BUCKET is set (the project file says
/// so), so that without it there is no test to skip. Credentials come as they do for the program.
/// </summary>
internal static class TestBucket
{
    public static S3Options Options(string below) => new(Variable("BUCKET") ?? throw new InvalidOperationException("set SHBACKUP_TEST_S3_BUCKET"))
    {
        Endpoint = Variable("ENDPOINT") is { } endpoint ? new Uri(endpoint) : null,
        Region = Variable("REGION"),
        Prefix = $"{Variable("PREFIX")?.Trim('/') ?? "shbackup-test"}/{below}",
        PartSize = 5 * 1024 * 1024,
    };

    public static string? Variable(string name) => Environment.GetEnvironmentVariable($"SHBACKUP_TEST_S3_{name}") is { Length: > 0 } value ? value : null;
}
