using System.Security.Cryptography;

namespace SoundHash.Backup.Wal;

/// <summary>How long to wait before the next try: any time up to a limit that doubles, so that many who failed together do not come together.</summary>
internal static class WalReceiveBackoff
{
    private const int FirstMilliseconds = 500;
    private const int MostMilliseconds = 30_000;

    /// <summary>The time to wait after so many failures in a row, from 0.</summary>
    public static TimeSpan After(int failures) => TimeSpan.FromMilliseconds(
        RandomNumberGenerator.GetInt32(50, Math.Min(MostMilliseconds, FirstMilliseconds << Math.Min(failures, 10))));
}
