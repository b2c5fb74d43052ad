using SoundHash.Backup.Cli;

return await ShbackupApplication.RunAsync(args, Console.Out, Console.Error);
