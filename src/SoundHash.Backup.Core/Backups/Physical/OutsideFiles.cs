using System.Text.RegularExpressions;
using Serilog;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Postgres;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>
/// Configuration outside the data directory, as Debian has it in /etc/postgresql: the files that the server was told, those that
/// they include, and those that Debian keeps beside them.
/// </summary>
internal sealed partial class OutsideFiles(Session session, ClusterFacts facts, ILogger log)
{
    // What pg_ctlcluster reads (pg_createcluster(1)).
    private static readonly string[] OfDebian = ["start.conf", "environment", "pg_ctl.conf"];

    private const string Sources =
        """
        SELECT sourcefile FROM pg_settings WHERE sourcefile IS NOT NULL
        UNION SELECT sourcefile FROM pg_file_settings WHERE sourcefile IS NOT NULL
        """;

    /// <summary>The files, absolute, read where the data directory is.</summary>
    /// <param name="dataDirectory">The data directory, without symbolic links.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="BackupException">One can't be read.</exception>
    public async Task<IReadOnlyList<(string Path, byte[] Bytes)>> ReadAsync(string dataDirectory, CancellationToken cancel)
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        var told = facts.ConfigurationFiles.Concat(await SourcesAsync(cancel));
        foreach (var file in told.Select(f => Path.GetFullPath(f, dataDirectory)))
        {
            Add(found, file);
        }

        var outside = found.Where(f => !IsInside(dataDirectory, f)).ToList();
        return outside.ConvertAll(static f => (f, Read(f)));
    }

    /// <summary>As <see cref="ReadAsync"/>, through the server, where its files are not at hand. Only who may read server files can.</summary>
    public async Task<IReadOnlyList<(string Path, byte[] Bytes)>> ReadThroughServerAsync(CancellationToken cancel)
    {
        if (facts.ConfigurationFiles.Count == 0)
        {
            log.Warning(
                "configuration outside the data directory, where there is some, is not kept: role \"{Role:l}\" may not know of it",
                session.Settings.User);
            return [];
        }

        try
        {
            var told = facts.ConfigurationFiles.Concat(await SourcesAsync(cancel)).Where(f => !IsInside(facts.DataDirectory ?? "/", f)).ToHashSet();
            var files = new List<(string, byte[])>();
            foreach (var file in told)
            {
                var rows = await session.QueryAsync("SELECT pg_read_binary_file($1, true)", static r => r.IsDBNull(0) ? null : r.GetFieldValue<byte[]>(0), cancel, file);
                files.AddRange(rows.OfType<byte[]>().Select(b => (file, b)));
            }

            return files;
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Warning("configuration outside the data directory is not kept: {Message:l}", e.Message);
            return [];
        }
    }

    private async Task<IReadOnlyList<string>> SourcesAsync(CancellationToken cancel)
    {
        try
        {
            return await session.QueryAsync(Sources, static r => r.GetString(0), cancel);
        }
        catch (BackupException e) when (!cancel.IsCancellationRequested)
        {
            log.Debug("included configuration files are told by their include lines alone: {Message:l}", e.Message);
            return [];
        }
    }

    // With what it includes: a file without a setting, and one of pg_hba.conf, are in no view of the server.
    private static void Add(SortedSet<string> found, string file)
    {
        if (!File.Exists(file) || !found.Add(file))
        {
            return;
        }

        var folder = Path.GetDirectoryName(file)!;
        foreach (var beside in OfDebian.Select(n => Path.Combine(folder, n)).Where(_ => Path.GetFileName(file) == "postgresql.conf"))
        {
            Add(found, beside);
        }

        if (Path.GetExtension(file) != ".conf")
        {
            return;
        }

        foreach (Match match in IncludeLine().Matches(System.Text.Encoding.Latin1.GetString(Read(file))))
        {
            var target = Path.GetFullPath(match.Groups["quoted"].Success ? match.Groups["quoted"].Value : match.Groups["plain"].Value, folder);
            var inner = match.Groups["directory"].Success && Directory.Exists(target) ? Directory.GetFiles(target, "*.conf") : [target];
            foreach (var one in inner)
            {
                Add(found, one);
            }
        }
    }

    private static bool IsInside(string dataDirectory, string file) => file.StartsWith($"{dataDirectory}/", StringComparison.Ordinal);

    private static byte[] Read(string file)
    {
        try
        {
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(
                ErrorKind.Failed, $"can't read the configuration file {file}: {e.Message}", "run this as the user that PostgreSQL runs as", e);
        }
    }

    [GeneratedRegex(
        @"^[ \t]*include(_if_exists)?(?<directory>_dir)?[ \t=]+('(?<quoted>[^'\r\n]+)'|""(?<quoted>[^""\r\n]+)""|(?<plain>[^\s'""#]+))",
        RegexOptions.Multiline | RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase,
        1000)]
    private static partial Regex IncludeLine();
}
