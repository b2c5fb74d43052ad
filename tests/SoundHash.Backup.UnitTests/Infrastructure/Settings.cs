using SoundHash.Backup.Configuration;
using SoundHash.Backup.Errors;

namespace SoundHash.Backup.UnitTests.Infrastructure;

/// <summary>Settings for tests, from flags, environment and a .env file that need not exist.</summary>
internal static class Settings
{
    private static readonly SettingFlag[] NoFlags = [];

    public static SettingsReader OfEnvironment(params (string Name, string Value)[] variables) =>
        new(NoFlags, variables.ToDictionary(static v => v.Name, static v => v.Value), null);

    public static SettingsReader OfFile(string path, params (string Name, string Value)[] variables) =>
        new(NoFlags, variables.ToDictionary(static v => v.Name, static v => v.Value), EnvFile.Read(path));

    public static SettingsReader Of(
        (string Name, string? Value)[] flags, (string Name, string Value)[] environment, EnvFile? file) =>
        new(
            flags.Select(static f => new SettingFlag(f.Name, Option(f.Name), f.Value)).ToList(),
            environment.ToDictionary(static v => v.Name, static v => v.Value),
            file);

    // BACKUP_JOBS is --jobs.
    private static string Option(string setting) =>
        $"--{setting[(setting.IndexOf('_', StringComparison.Ordinal) + 1)..].ToLowerInvariant()}";

    /// <summary>Asserts that the settings are refused, and returns the error.</summary>
    public static BackupException Refused(this SettingsReader settings, ErrorKind kind = ErrorKind.Configuration)
    {
        var e = Assert.Throws<BackupException>(settings.ThrowIfInvalid);
        Assert.Equal(kind, e.Kind);
        return e;
    }
}
