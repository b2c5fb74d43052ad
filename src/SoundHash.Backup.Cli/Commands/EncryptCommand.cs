using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup encrypt FILE</summary>
internal sealed class EncryptCommand : VerbCommand
{
    private readonly Argument<string> _file = new("FILE") { Description = "The file to encrypt; it stays as it is" };

    private readonly Option<string?> _method = new("--method")
    {
        Description = "gpg or age (default: told by --key, else BACKUP_ENCRYPTION_METHOD)",
        HelpName = "METHOD",
    };

    private readonly Option<string[]> _key = new("--key")
    {
        Description =
            "Recipient, may be repeated: age1…, \"ssh-ed25519 …\", a recipients file, or a gpg key (default: BACKUP_ENCRYPTION_KEY)",
        HelpName = "KEY",
    };

    private readonly OutputFile _output = new("FILE.age or FILE.gpg");

    public EncryptCommand(CommonOptions common)
        : base("encrypt", "Encrypt a file as the age and gpg programs do", common)
    {
        _method.AcceptOnlyFromAmong("gpg", "age");
        Arguments.Add(_file);
        Options.Add(_method);
        Options.Add(_key);
        _output.AddTo(this);
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup encrypt backup.dump --method gpg --key KEY_ID",
        "shbackup encrypt backup.dump --key age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    ];

    public override IReadOnlyList<ErrorKind> Failures { get; } = [ErrorKind.ToolMissing, ErrorKind.Storage, ErrorKind.Encryption];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var keys = parse.GetValue(_key) ?? [];
        var settings = cli.Settings(
            new SettingFlag("BACKUP_ENCRYPTION_ENABLED", Name, "true"),
            new SettingFlag(
                "BACKUP_ENCRYPTION_METHOD",
                _method.Name,
                parse.GetValue(_method) ?? (keys.Length > 0 && keys.All(AgeEncryption.IsKey) ? "age" : null)),
            new SettingFlag("BACKUP_ENCRYPTION_KEY", _key.Name, keys.Length > 0 ? string.Join('\n', keys) : null));
        var encryption = EncryptionConfiguration.Read(settings);
        var meter = cli.Meter(settings);
        settings.ThrowIfInvalid();

        var input = Path.GetFullPath(parse.GetRequiredValue(_file));
        var output = _output.PathOf(parse) ?? input + EncryptionFormat.Suffix(encryption.Method);
        await using (new ProgressReporter(cli, "encrypt", meter, () => new FileInfo(input).Length))
        {
            await new FileEncryption(cli.Providers(encryption), meter)
                .EncryptAsync(input, output, encryption.Method, _output.MayReplace(parse), cancel);
        }

        cli.Print(
            new FileDocument(output), ResultJson.Default.FileDocument, static (terminal, d) => terminal.Line($"encrypted to {d.File}"));
        return ExitCodes.Success;
    }
}
