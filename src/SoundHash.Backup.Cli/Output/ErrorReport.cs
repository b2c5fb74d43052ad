using System.Text.Json;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli.Output;

/// <summary>Errors in their one form: an error line, a hint line, and the document of --json.</summary>
internal static class ErrorReport
{
    /// <summary>Prints both lines on stderr, and the document on stdout when it was asked for.</summary>
    public static void Report(this Terminal terminal, BackupException error, bool json)
    {
        terminal.ReportLines(error);
        if (!json)
        {
            return;
        }

        try
        {
            terminal.Document(JsonSerializer.Serialize(new ErrorDocument(ErrorResult.Of(error)), ResultJson.Default.ErrorDocument));
        }
        catch (BackupException e)
        {
            terminal.ReportLines(e);
        }
    }

    /// <summary>Prints both lines on stderr.</summary>
    public static void ReportLines(this Terminal terminal, BackupException error) => terminal.ReportLines(error.Message, error.Hint);

    /// <summary>Prints both lines on stderr.</summary>
    public static void ReportLines(this Terminal terminal, string problem, string? hint)
    {
        terminal.ErrorLine($"error: {OneLine(problem)}");
        if (hint is not null)
        {
            terminal.ErrorLine($"hint: {OneLine(hint)}");
        }
    }

    /// <summary>A text of several lines in one.</summary>
    public static string OneLine(string text) =>
        string.Join(' ', text.Split(['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}
