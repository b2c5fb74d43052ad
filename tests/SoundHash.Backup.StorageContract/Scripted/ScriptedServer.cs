using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>
/// An HTTP/1.1 server in this process, on a real socket of the loopback: what it answers is up to a delegate, and what goes wrong
/// before, after and in the midst of that to the <see cref="Fault"/>s that a test asks for.
/// </summary>
public sealed class ScriptedServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    // Not disposed: it may be asked again whether it has ended.
    private readonly CancellationTokenSource _end = new();
    private readonly Func<ScriptedRequest, Task<ScriptedAnswer>> _handler;
    private readonly X509Certificate2? _certificate;
    private readonly Lock _lock = new();
    private readonly List<PendingFault> _faults = [];
    private readonly ConcurrentDictionary<Task, bool> _connections = [];
    private readonly Task _accepting;
    private int _atOnce;

    /// <summary>Starts it.</summary>
    /// <param name="handler">Carries out a request; called for several at once.</param>
    /// <param name="certificate">With which it speaks TLS, or null for plain HTTP.</param>
    public ScriptedServer(Func<ScriptedRequest, Task<ScriptedAnswer>> handler, X509Certificate2? certificate = null)
    {
        _handler = handler;
        _certificate = certificate;
        _listener.Start(512);
        _accepting = AcceptAsync();
    }

    /// <summary>Where it listens.</summary>
    public Uri Address => new($"{(_certificate is null ? "http" : "https")}://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    /// <summary>Waited before every answer, as a distant server would have it.</summary>
    public TimeSpan Latency { get; set; }

    /// <summary>How much of requests the system takes that nobody has read yet, in bytes; for connections that come after it is set.</summary>
    public int ReceiveBuffer
    {
        get => _listener.Server.ReceiveBufferSize;
        set => _listener.Server.ReceiveBufferSize = value;
    }

    /// <summary>The heads of all requests so far, in the order in which they came.</summary>
    public ConcurrentQueue<ScriptedRequest> Requests { get; } = [];

    /// <summary>The most requests that were under way at one time.</summary>
    public int MostAtOnce { get; private set; }

    /// <summary>How many requests a fault was for.</summary>
    public int Failures { get; private set; }

    /// <summary>Lets something go wrong. Of several that are for a request the one that was added first is taken.</summary>
    public void Fail(Fault fault)
    {
        lock (_lock)
        {
            _faults.Add(new PendingFault(fault));
        }
    }

    /// <summary>Lets everything go well again.</summary>
    public void Heal()
    {
        lock (_lock)
        {
            _faults.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_end.IsCancellationRequested)
        {
            return;
        }

        await _end.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_connections.Keys);
        _listener.Dispose();
    }

    internal Task<ScriptedAnswer> HandleAsync(ScriptedRequest request) => _handler(request);

    internal Fault? Begin(ScriptedRequest head)
    {
        Requests.Enqueue(head);
        lock (_lock)
        {
            MostAtOnce = Math.Max(MostAtOnce, ++_atOnce);
            // One that lets the first requests pass counts them here.
            var fault = _faults.FirstOrDefault(f => f.IsFor(head))?.Fault;
            Failures += fault is null ? 0 : 1;
            return fault;
        }
    }

    internal void Finish()
    {
        lock (_lock)
        {
            _atOnce--;
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_end.Token);
                var connection = Task.Run(() => ServeAsync(client));
                _connections[connection] = true;
                _ = connection.ContinueWith(t => _connections.TryRemove(t, out _), TaskScheduler.Default);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The end of it.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var connection = new ScriptedConnection(this, client, _end.Token);
        try
        {
            await connection.RunAsync(_certificate);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException or ObjectDisposedException
            or System.Security.Authentication.AuthenticationException)
        {
            // The client went, or we do.
        }
    }

    private sealed class PendingFault(Fault fault)
    {
        private int _passing = fault.After;
        private int _left = fault.Times;

        public Fault Fault => fault;

        public bool IsFor(ScriptedRequest head) =>
            _left > 0 && fault.When(head) && _passing-- <= 0 && _left-- > 0;
    }
}
