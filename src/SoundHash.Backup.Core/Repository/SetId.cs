using System.Globalization;
using System.Text.RegularExpressions;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Storage;

namespace SoundHash.Backup.Repository;

/// <summary>Names of sets: <c>&lt;name&gt;_&lt;yyyyMMdd_HHmmss&gt;</c> in UTC, with _2, _3 … for more in one second.</summary>
public static partial class SetId
{
    // Leaves room for the time and a counter in a key segment of 200.
    private const int MaxName = 150;

    /// <summary>The id of a set.</summary>
    public static string Make(string name, DateTimeOffset started, int attempt)
    {
        var time = started.UtcDateTime.ToString("yyyyMMdd_HHmmss", CultureInfo.InvariantCulture);
        return attempt == 1 ? $"{name}_{time}" : string.Create(CultureInfo.InvariantCulture, $"{name}_{time}_{attempt}");
    }

    /// <summary>The second in which a set of this id began, or null for a name that is no id.</summary>
    public static DateTimeOffset? TimeOf(string id) =>
        Ending().Match(id) is { Success: true } m && DateTimeOffset.TryParseExact(
            m.Groups["time"].Value, "yyyyMMdd_HHmmss", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : null;

    /// <summary>The default name for a database; characters that an id may not hold become '_'.</summary>
    public static string DefaultName(string database)
    {
        var safe = new string(
            database.Select(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' ? c : '_').Take(63).ToArray());
        return $"{safe}_backup";
    }

    /// <summary>Returns a name that a person gave, or throws.</summary>
    /// <exception cref="BackupException">It holds other characters or is too long.</exception>
    public static string CheckName(string name) =>
        ObjectKey.IsValidSegment(name) && name.Length <= MaxName && name[0] != '.'
            ? name
            : throw new BackupException(
                ErrorKind.Usage, $"'{name}' is no name for a set", $"use letters, digits, '.', '_' and '-', at most {MaxName}");

    /// <summary>The tier that a name which a person gave asks for: weekly… is extended, monthly… is archive.</summary>
    public static Tier TierOf(string name) =>
        name.StartsWith("weekly", StringComparison.OrdinalIgnoreCase) ? Tier.Extended
        : name.StartsWith("monthly", StringComparison.OrdinalIgnoreCase) ? Tier.Archive
        : Tier.Standard;

    [GeneratedRegex(@"_(?<time>[0-9]{8}_[0-9]{6})(_[0-9]+)?$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Ending();
}
