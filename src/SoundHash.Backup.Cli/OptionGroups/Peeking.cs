using System.CommandLine;
using System.CommandLine.Parsing;

namespace SoundHash.Backup.Cli.OptionGroups;

/// <summary>
/// How validators look at values. They run although a value could not be understood, and GetValue throws for such a one;
/// that it is wrong is then said already.
/// </summary>
internal static class Peeking
{
    /// <summary>The value, or the default where it could not be understood.</summary>
    public static T? Peek<T>(this SymbolResult result, Option<T> option) => Try(() => result.GetValue(option));

    /// <inheritdoc cref="Peek{T}(SymbolResult, Option{T})"/>
    public static T? Peek<T>(this SymbolResult result, Argument<T> argument) => Try(() => result.GetValue(argument));

    private static T? Try<T>(Func<T?> get)
    {
        try
        {
            return get();
        }
        catch (InvalidOperationException)
        {
            return default;
        }
    }
}
