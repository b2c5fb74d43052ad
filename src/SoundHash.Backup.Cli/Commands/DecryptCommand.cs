using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup decrypt FILE</summary>
internal sealed class DecryptCommand : VerbCommand
{
    private readonly Argument<string> _file = new("FILE") { Description = "The file to decrypt; it stays as it is" };

    private readonly Option<string[]> _identity = new("--identity", "-i")
    {
        Description = "age identity file, may be repeated (default: BACKUP_DECRYPTION_IDENTITY_FILE); gpg uses its keyring",
        HelpName = "FILE",
    };

    private readonly OutputFile _output = new("FILE without .age or .gpg");

    public DecryptCommand(CommonOptions common)
        : base("decrypt", "Decrypt a file that age or gpg or shbackup encrypted", common)
    {
        Arguments.Add(_file);
        Options.Add(_identity);
        _output.AddTo(this);
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup decrypt backup.dump.gpg",
        "shbackup decrypt backup.dump.age --identity identity.txt --output backup.dump",
    ];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var identities = parse.GetValue(_identity) ?? [];
        var settings = cli.Settings(new SettingFlag(
            "BACKUP_DECRYPTION_IDENTITY_FILE", _identity.Name, identities.Length > 0 ? string.Join('\n', identities) : null));
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var meter = cli.Meter(settings);
        settings.ThrowIfInvalid();

        var input = Path.GetFullPath(parse.GetRequiredValue(_file));
        var output = _output.PathOf(parse) ?? WithoutSuffix(input);
        await using (new ProgressReporter(cli, "decrypt", meter, () => new FileInfo(input).Length))
        {
            await new FileEncryption(cli.Providers(encryption), meter).DecryptAsync(input, output, _output.MayReplace(parse), cancel);
        }

        cli.Print(
            new FileDocument(output), ResultJson.Default.FileDocument, static (terminal, d) => terminal.Line($"decrypted to {d.File}"));
        return ExitCodes.Success;
    }

    private static string WithoutSuffix(string input) =>
        Path.GetExtension(input) is ".age" or ".gpg" or ".asc" or ".pgp"
            ? Path.ChangeExtension(input, null)
            : throw new BackupException(
                ErrorKind.Usage, $"{input} does not end in .age or .gpg, so that the output needs a name", "add --output FILE");
}
