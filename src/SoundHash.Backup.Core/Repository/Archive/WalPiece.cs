using System.Globalization;
using System.Text.RegularExpressions;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Repository.Archive;

/// <summary>A part of a segment that was not whole when it was stored.</summary>
/// <param name="Segment">The segment.</param>
/// <param name="From">Where in the segment it begins, in bytes.</param>
/// <param name="To">Where it ends: the first byte that is not in it.</param>
public sealed partial record WalPiece(WalFileName Segment, long From, long To)
{
    /// <summary>Its name in the archive: SEGMENT.FROM-TO.</summary>
    public string Name => string.Create(CultureInfo.InvariantCulture, $"{Segment.Name}.{From:X8}-{To:X8}");

    /// <summary>Reads a name; null when it is none of a piece.</summary>
    public static WalPiece? TryParse(string name)
    {
        if (Form().Match(name) is not { Success: true } match || WalFileName.TryParse(match.Groups["segment"].Value) is not { } segment)
        {
            return null;
        }

        var piece = new WalPiece(segment, Offset(match.Groups["from"].Value), Offset(match.Groups["to"].Value));
        return piece.From < piece.To ? piece : null;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static long Offset(string digits) => long.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\A(?<segment>[0-9A-F]{24})\.(?<from>[0-9A-F]{8})-(?<to>[0-9A-F]{8})\z", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Form();
}
