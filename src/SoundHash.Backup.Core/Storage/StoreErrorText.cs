using System.Text.RegularExpressions;

namespace SoundHash.Backup.Storage;

/// <summary>What the client of a store says, made fit for one line of an error that anybody may read.</summary>
public static partial class StoreErrorText
{
    private const int Longest = 300;

    /// <summary>A text as part of one line, without the logins of addresses: that of a proxy may carry a password, and .NET says it in full.</summary>
    public static string Clean(string text)
    {
        var line = string.Concat(text.Select(static c => char.IsControl(c) ? ' ' : c)).Trim().TrimEnd('.');
        line = LoginOfAddress().Replace(line, string.Empty);
        return line.Length > Longest ? $"{line[..Longest]}…" : line;
    }

    /// <summary>The error, to be kept as the cause of another; null where its text has the login of an address.</summary>
    public static Exception? Harmless(Exception e) => LoginOfAddress().IsMatch(e.ToString()) ? null : e;

    /// <summary>An error, its cause, the cause of that, and so on.</summary>
    public static IEnumerable<Exception> Chain(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
        {
            yield return e;
        }
    }

    [GeneratedRegex(@"(?<=://)[^\s/'""@]+@", RegexOptions.None, 1000)]
    private static partial Regex LoginOfAddress();
}
