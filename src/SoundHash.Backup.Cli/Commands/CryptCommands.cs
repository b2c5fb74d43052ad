using System.CommandLine;
using SoundHash.Backup.Cli.OptionGroups;
using SoundHash.Backup.Cli.Output;
using SoundHash.Backup.Configuration;
using SoundHash.Backup.Encryption;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Pipelines;

namespace SoundHash.Backup.Cli.Commands;

/// <summary>shbackup encrypt FILE</summary>
internal sealed class EncryptCommand : VerbCommand
{
    private readonly Argument<string> _file = new("file") { Description = "The file to encrypt; it stays as it is" };
    private readonly Option<string?> _method = new("--method") { Description = "gpg or age (default: told by --key, else BACKUP_ENCRYPTION_METHOD)", HelpName = "M" };
    private readonly Option<string[]> _key = new("--key")
    {
        Description = "Recipient, may be repeated: age1…, \"ssh-ed25519 …\", a recipients file, or a gpg key (default: BACKUP_ENCRYPTION_KEY)",
        HelpName = "K",
    };

    private readonly Option<string?> _output = new("--output", "-o") { Description = "The file to make (default: FILE.age or FILE.gpg)", HelpName = "F" };
    private readonly Option<bool> _force = new("--force") { Description = "Replace an existing output" };

    public EncryptCommand(CommonOptions common)
        : base("encrypt", "Encrypt a file as the age and gpg programs do", common)
    {
        _method.AcceptOnlyFromAmong("gpg", "age");
        Arguments.Add(_file);
        Options.Add(_method);
        Options.Add(_key);
        Options.Add(_output);
        Options.Add(_force);
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup encrypt backup.dump --method gpg --key KEY_ID",
        "shbackup encrypt backup.dump --key age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    ];

    public override IReadOnlyList<int> ExitCodes { get; } = [4, 6, 7];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var keys = parse.GetValue(_key) ?? [];
        var settings = cli.Settings(
            ("BACKUP_ENCRYPTION_ENABLED", "true"),
            ("BACKUP_ENCRYPTION_METHOD", parse.GetValue(_method) ?? (keys.Length > 0 && keys.All(AgeEncryption.IsKey) ? "age" : null)),
            ("BACKUP_ENCRYPTION_KEY", keys.Length > 0 ? string.Join('\n', keys) : null));
        var encryption = EncryptionConfiguration.Read(settings);
        var meter = new TransferMeter(cli.Time, settings.Bytes("BACKUP_RATE_LIMIT"));
        if (encryption is { Method: EncryptionMethod.Age, Recipients.Count: 0 })
        {
            // Not a matter of configuration alone: say what stands in for a passphrase.
            _ = await new EncryptionProviders(cli.Launcher, cli.Time, encryption).For(EncryptionMethod.Age).CheckRecipientsAsync(cancel);
        }

        settings.ThrowIfInvalid();
        var input = Path.GetFullPath(parse.GetRequiredValue(_file));
        var output = Path.GetFullPath(parse.GetValue(_output) ?? input + EncryptionFormat.Suffix(encryption.Method));
        await using (new ProgressReporter(cli, "encrypt", meter, () => new FileInfo(input).Length))
        {
            await new FileEncryption(new EncryptionProviders(cli.Launcher, cli.Time, encryption), meter)
                .EncryptAsync(input, output, encryption.Method, parse.GetValue(_force), cancel);
        }

        cli.Print(new DoneDocument(output), ResultJson.Default.DoneDocument, static (terminal, d) => terminal.Line($"encrypted to {d.Done}"));
        return Errors.ExitCodes.Success;
    }
}

/// <summary>shbackup decrypt FILE</summary>
internal sealed class DecryptCommand : VerbCommand
{
    private readonly Argument<string> _file = new("file") { Description = "The file to decrypt; it stays as it is" };
    private readonly Option<string[]> _identity = new("--identity", "-i")
    {
        Description = "age identity file, may be repeated (default: BACKUP_DECRYPTION_IDENTITY_FILE); gpg uses its keyring",
        HelpName = "F",
    };

    private readonly Option<string?> _output = new("--output", "-o") { Description = "The file to make (default: FILE without .age or .gpg)", HelpName = "F" };
    private readonly Option<bool> _force = new("--force") { Description = "Replace an existing output" };

    public DecryptCommand(CommonOptions common)
        : base("decrypt", "Decrypt a file that age or gpg or shbackup encrypted", common)
    {
        Arguments.Add(_file);
        Options.Add(_identity);
        Options.Add(_output);
        Options.Add(_force);
    }

    public override IReadOnlyList<string> Examples { get; } =
    [
        "shbackup decrypt backup.dump.gpg",
        "shbackup decrypt backup.dump.age --identity identity.txt --output backup.dump",
    ];

    public override IReadOnlyList<int> ExitCodes { get; } = [4, 6, 7];

    protected override async Task<int> RunAsync(ParseResult parse, CliSession cli, CancellationToken cancel)
    {
        var identities = parse.GetValue(_identity) ?? [];
        var settings = cli.Settings(("BACKUP_DECRYPTION_IDENTITY_FILE", identities.Length > 0 ? string.Join('\n', identities) : null));
        var encryption = EncryptionConfiguration.ReadForDecryption(settings);
        var meter = new TransferMeter(cli.Time, settings.Bytes("BACKUP_RATE_LIMIT"));
        settings.ThrowIfInvalid();

        var input = Path.GetFullPath(parse.GetRequiredValue(_file));
        var output = parse.GetValue(_output) is { } given ? Path.GetFullPath(given) : WithoutSuffix(input);
        await using (new ProgressReporter(cli, "decrypt", meter, () => new FileInfo(input).Length))
        {
            await new FileEncryption(new EncryptionProviders(cli.Launcher, cli.Time, encryption), meter)
                .DecryptAsync(input, output, parse.GetValue(_force), cancel);
        }

        cli.Print(new DoneDocument(output), ResultJson.Default.DoneDocument, static (terminal, d) => terminal.Line($"decrypted to {d.Done}"));
        return Errors.ExitCodes.Success;
    }

    private static string WithoutSuffix(string input) =>
        Path.GetExtension(input) is ".age" or ".gpg" or ".asc" or ".pgp"
            ? Path.ChangeExtension(input, null)
            : throw new BackupException(ErrorKind.Usage, $"{input} does not end in .age or .gpg, so that the output needs a name", "add --output FILE");
}
