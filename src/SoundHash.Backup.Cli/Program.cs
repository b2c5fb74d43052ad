using SoundHash.Backup.Cli;
using SoundHash.Backup.Processes;

StandardStreams.Complete();
return await ShbackupApplication.RunAsync(args, Console.Out, Console.Error);
