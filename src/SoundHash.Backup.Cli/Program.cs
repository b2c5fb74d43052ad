using SoundHash.Backup.Cli;
using SoundHash.Backup.Processes;

const int BlockedThreads = 6;

StandardStreams.Complete();
// Writes to files and pipes block their threads. With as many threads as cores, as there are at first, a disk that is slow for a moment keeps
// the streams to other stores waiting too.
ThreadPool.GetMinThreads(out var workers, out var completions);
ThreadPool.SetMinThreads(workers + BlockedThreads, completions);
return await ShbackupApplication.RunAsync(args, Console.Out, Console.Error);
