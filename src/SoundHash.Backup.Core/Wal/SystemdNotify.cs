using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Serilog;

namespace SoundHash.Backup.Wal;

/// <summary>
/// Tells systemd how a service is (sd_notify(3)): a datagram on the socket that NOTIFY_SOCKET names. Where nobody asked for it,
/// and when it can't be sent, nothing happens: the service goes on.
/// </summary>
public sealed class SystemdNotify
{
    private readonly string? _address;
    private readonly TimeSpan? _watchdog;
    private readonly ILogger _log;

    /// <summary>Reads what the service manager asked for.</summary>
    /// <param name="variable">Gives a variable of the environment.</param>
    /// <param name="log">For what can't be sent.</param>
    public SystemdNotify(Func<string, string?> variable, ILogger log)
    {
        _log = log;
        _address = variable("NOTIFY_SOCKET") is { Length: > 0 } address ? address : null;
        var isForUs = variable("WATCHDOG_PID") is not { Length: > 0 } pid
            || pid == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        if (isForUs && long.TryParse(variable("WATCHDOG_USEC"), CultureInfo.InvariantCulture, out var microseconds) && microseconds > 0)
        {
            _watchdog = TimeSpan.FromMicroseconds(microseconds);
        }
    }

    /// <summary>The service does what it is for.</summary>
    public void Ready() => Send("READY=1");

    /// <summary>The service is about to end.</summary>
    public void Stopping() => Send("STOPPING=1");

    /// <summary>One line on how it goes.</summary>
    public void Status(string text) => Send($"STATUS={text.Replace('\n', ' ')}");

    /// <summary>Tells the watchdog, twice in its time, that we are alive; until cancelled.</summary>
    public async Task KeepAliveAsync(TimeProvider time, CancellationToken cancel)
    {
        if (_watchdog is not { } limit)
        {
            return;
        }

        while (!cancel.IsCancellationRequested)
        {
            Send("WATCHDOG=1");
            await Task.Delay(limit / 2, time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Send(string message)
    {
        if (_address is null)
        {
            return;
        }

        try
        {
            // '@' stands for the zero byte that an abstract address begins with.
            var path = _address[0] == '@' ? $"\0{_address[1..]}" : _address;
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.SendTo(Encoding.UTF8.GetBytes(message), new UnixDomainSocketEndPoint(path));
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            _log.Debug("systemd can't be told {Message}: {Error}", message, e.Message);
        }
    }
}
