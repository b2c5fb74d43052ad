namespace SoundHash.Backup.Configuration;

/// <summary>An option of the command line that stands for a setting.</summary>
/// <param name="Setting">The setting's name.</param>
/// <param name="Option">The option's name, as problems show it.</param>
/// <param name="Value">What was given, or null or empty when nothing was.</param>
public sealed record SettingFlag(string Setting, string Option, string? Value);
