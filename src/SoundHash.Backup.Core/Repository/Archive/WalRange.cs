using System.Globalization;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>Consecutive segments of one timeline, both ends included.</summary>
/// <param name="Timeline">The timeline.</param>
/// <param name="First">Number of the first.</param>
/// <param name="Last">Number of the last.</param>
public sealed record WalRange(uint Timeline, ulong First, ulong Last)
{
    /// <summary>What is left of them without others.</summary>
    public IEnumerable<WalRange> Without(IEnumerable<WalRange> others)
    {
        var first = First;
        foreach (var other in others.Where(o => o.Timeline == Timeline && o.Last >= First && o.First <= Last).OrderBy(static o => o.First))
        {
            if (other.First > first)
            {
                yield return this with { First = first, Last = other.First - 1 };
            }

            if (other.Last >= Last)
            {
                yield break;
            }

            first = Math.Max(first, other.Last + 1);
        }

        yield return this with { First = first };
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Timeline}:{First}-{Last}");
}
