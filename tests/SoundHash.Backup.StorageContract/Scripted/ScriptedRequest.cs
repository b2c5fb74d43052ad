using System.Text;

namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>A request as it came over the wire.</summary>
/// <param name="Method">GET, PUT, …</param>
/// <param name="Path">The path, not decoded.</param>
/// <param name="Query">The query as decoded names and values, in their order; a name without '=' has an empty value.</param>
/// <param name="Headers">Names compare without case.</param>
/// <param name="Body">The body without its framing; empty in what is handed to <see cref="Fault.When"/>.</param>
public sealed record ScriptedRequest(
    string Method,
    string Path,
    IReadOnlyList<KeyValuePair<string, string>> Query,
    IReadOnlyDictionary<string, string> Headers,
    ReadOnlyMemory<byte> Body)
{
    /// <summary>False when the connection was cut within the body.</summary>
    public bool IsWhole { get; init; } = true;

    /// <summary>The value of a part of the query, or null.</summary>
    public string? Argument(string name) => Query.Where(q => q.Key == name).Select(static q => q.Value).FirstOrDefault();

    /// <summary>The value of a header, or null.</summary>
    public string? Header(string name) => Headers.TryGetValue(name, out var value) ? value : null;

    /// <summary>The path, decoded.</summary>
    public string DecodedPath => Uri.UnescapeDataString(Path);

    /// <summary>The body as text.</summary>
    public string Text => Encoding.UTF8.GetString(Body.Span);

    /// <summary>Parses the head of a request: its first line and its headers, without the empty line.</summary>
    public static ScriptedRequest Parse(string head)
    {
        var lines = head.Split("\r\n");
        var first = lines[0].Split(' ');
        var target = first[1].Split('?', 2);
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var line in lines.Skip(1))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            headers[line[..colon]] = line[(colon + 1)..].Trim();
        }

        return new ScriptedRequest(first[0], target[0], QueryOf(target.ElementAtOrDefault(1)), headers, default);
    }

    public override string ToString() => $"{Method} {Path}?{string.Join('&', Query.Select(static q => $"{q.Key}={q.Value}"))}";

    private static List<KeyValuePair<string, string>> QueryOf(string? query) =>
        (query ?? string.Empty).Split('&', StringSplitOptions.RemoveEmptyEntries)
            .Select(static pair => pair.Split('=', 2))
            .Select(static pair => KeyValuePair.Create(Decode(pair[0]), Decode(pair.ElementAtOrDefault(1) ?? string.Empty)))
            .ToList();

    private static string Decode(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));
}

/// <summary>What the server answers.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Body">The body. Its length is announced by itself; of a HEAD it is announced and not sent.</param>
public sealed record ScriptedAnswer(int Status, ReadOnlyMemory<byte> Body = default)
{
    /// <summary>Headers besides Content-Length. "Connection: close" closes the connection after the answer.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>The length that is announced where it is not the body's: of a HEAD.</summary>
    public long? Length { get; init; }

    /// <summary>An answer with a text.</summary>
    public static ScriptedAnswer Of(int status, string text, string type = "application/xml") =>
        new ScriptedAnswer(status, Encoding.UTF8.GetBytes(text)).With("Content-Type", type);

    /// <summary>The same with a header more.</summary>
    public ScriptedAnswer With(string name, string value) =>
        this with { Headers = new Dictionary<string, string>(Headers) { [name] = value } };

    /// <summary>The same without a header.</summary>
    public ScriptedAnswer Without(string name) =>
        this with { Headers = Headers.Where(h => h.Key != name).ToDictionary() };
}
