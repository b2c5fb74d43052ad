using System.Runtime.InteropServices;

namespace SoundHash.Backup.Cli;

/// <summary>
/// SIGHUP (the terminal or the ssh session is gone) cancels as SIGTERM does. System.CommandLine sees to SIGINT and
/// SIGTERM only; untreated, SIGHUP would end us with everything half done. Under nohup .NET leaves it ignored.
/// </summary>
internal static class HangUp
{
    public static PosixSignalRegistration CancelOn(CancellationTokenSource stop) => PosixSignalRegistration.Create(
        PosixSignal.SIGHUP,
        signal =>
        {
            signal.Cancel = true;
            try
            {
                stop.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The verb was done at the same moment.
                return;
            }
        });
}
