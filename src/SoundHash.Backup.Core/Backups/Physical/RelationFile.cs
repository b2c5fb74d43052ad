using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>The name of a relation's file (src/common/relpath.c, src/backend/storage/file/reinit.c).</summary>
/// <param name="Node">The relation's file number.</param>
/// <param name="Fork">fsm, vm or init; empty for the main fork.</param>
/// <param name="Segment">0 for the first file of a fork.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly partial record struct RelationFile(uint Node, string Fork, uint Segment)
{
    /// <summary>The fork that an unlogged relation is made empty from.</summary>
    public const string InitFork = "init";

    /// <summary>Reads a name; null when it is no relation's.</summary>
    public static RelationFile? TryParse(string name) =>
        Form().Match(name) is { Success: true } match
        && uint.TryParse(match.Groups["node"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var node)
            ? new RelationFile(
                node,
                match.Groups["fork"].Value,
                uint.TryParse(match.Groups["segment"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var segment) ? segment : 0)
            : null;

    /// <summary>True for a file of a session's temporary table (looks_like_temp_rel_name of src/backend/storage/file/fd.c).</summary>
    public static bool IsTemporary(string name) => Temporary().IsMatch(name);

    [GeneratedRegex(
        @"\A(?<node>[0-9]{1,10})(_(?<fork>fsm|vm|init))?(\.(?<segment>[0-9]{1,7}))?\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Form();

    [GeneratedRegex(@"\At[0-9]+_[0-9]+(_(fsm|vm|init))?(\.[0-9]+)?\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Temporary();
}
