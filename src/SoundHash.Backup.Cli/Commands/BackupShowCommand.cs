using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup backup show ID: everything that the manifest says.</summary>
internal sealed class BackupShowCommand : VerbCommand
{
    private readonly Argument<string> _id = new("id") { Description = "The set, or the beginning of its id" };

    public BackupShowCommand(CommonOptions common)
        : base("show", "Show one set with its objects", common) => Arguments.Add(_id);

    public override IReadOnlyList<string> Examples { get; } = ["shbackup backup show soundhash_backup_20261122_020000"];

    public override IReadOnlyList<int> ExitCodes { get; } = [6, 8];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var settings = cli.Settings();
        var repository = RepositoryConfiguration.Read(settings);
        settings.ThrowIfInvalid();

        var catalogue = await Catalogue.LoadAsync(RepositoryAccess.Open(repository), cancel);
        var manifest = catalogue.Find(parse.GetRequiredValue(_id));
        if (cli.Json)
        {
            cli.Terminal.Line(System.Text.Encoding.UTF8.GetString(ManifestFormat.Write(manifest)));
            return Errors.ExitCodes.Success;
        }

        Print(cli.Terminal, manifest, catalogue.Sets.First(s => s.Id == manifest.Id));
        return Errors.ExitCodes.Success;
    }

    private static void Print(Terminal terminal, Manifest manifest, CatalogueEntry entry)
    {
        var facts = new (string Name, string Value)[]
        {
            ("set", manifest.Id),
            ("database", manifest.Database),
            ("kind, tier", $"{manifest.Kind}, {manifest.Tier}"),
            ("started", Sizes.Time(manifest.Started)),
            ("stopped", Sizes.Time(manifest.Stopped)),
            ("took", Sizes.Duration(manifest.Stopped - manifest.Started)),
            ("expires", entry.Pinned ? "never (pinned)" : Sizes.Time(manifest.Expires)),
            ("server, pg_dump", $"{manifest.ServerVersion}, {manifest.DumpVersion}"),
            ("system identifier", manifest.SystemIdentifier ?? "unknown"),
            ("shbackup", manifest.ToolVersion),
            ("size", $"{Sizes.Bytes(manifest.StoredBytes)} stored, {Sizes.Bytes(manifest.Objects.Sum(static o => o.PlainBytes))} plain, {Sizes.Bytes(manifest.DatabaseBytes)} on the server"),
            ("recipients", string.Join(", ", manifest.Objects.SelectMany(static o => o.Recipients).Distinct())),
        };
        foreach (var (name, value) in facts)
        {
            terminal.Line($"{name,-18} {TextTable.Printable(value)}");
        }

        var damaged = entry.DamagedObjects.ToHashSet();
        var rows = manifest.Objects.Select(o => new[]
        {
            o.Key, o.Role.ToString(), Sizes.Bytes(o.StoredBytes), Sizes.Bytes(o.PlainBytes), o.Encryption.ToString(), o.StoredSha256, damaged.Contains(o.Key) ? "DAMAGED" : "ok",
        });
        terminal.Line(string.Empty);
        foreach (var line in TextTable.Lines(["OBJECT", "ROLE", "STORED", "PLAIN", "ENCRYPTION", "SHA-256 AS STORED", "STATE"], rows))
        {
            terminal.Line(line);
        }
    }
}
