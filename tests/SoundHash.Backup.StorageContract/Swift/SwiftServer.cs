using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace SoundHash.Backup.StorageContract.Swift;

/// <summary>
/// A real OpenStack Swift with its S3 interface, of one node and one replica, in a private folder. It is a strict store: it refuses
/// chunk framing and conditional writes. It lives in a process namespace of its own, whose first process reads our end of a pipe:
/// when that closes, by disposing or since the test process was killed, the kernel ends all of it and the folder is removed.
/// </summary>
public sealed class SwiftServer : IAsyncLifetime
{
    private const int Attempts = 3;
    private static readonly string[] Programs =
        ["swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "memcached"];

    private readonly HttpClient _client = new();
    private string? _folder;
    private Process? _watchdog;

    /// <summary>Where its S3 interface is; path style.</summary>
    public Uri Endpoint { get; private set; } = new("http://127.0.0.1:1");

    public string Region => "us-east-1";

    public string AccessKey => $"{SwiftFiles.Account}:{SwiftFiles.User}";

    public string SecretKey => SwiftFiles.Key;

    public async ValueTask InitializeAsync()
    {
        if (Programs.FirstOrDefault(static p => Which(p) is null) is { } missing)
        {
            throw new FileNotFoundException(
                $"{missing} is missing: apt-get install swift-proxy swift-account swift-container swift-object memcached");
        }

        for (var attempt = 1; !await StartAsync(); attempt++)
        {
            // Somebody may have taken one of the ports meanwhile.
            var log = await EndAsync();
            if (attempt == Attempts)
            {
                throw new TimeoutException($"Swift did not start: {log}");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _client.Dispose();
    }

    /// <summary>Makes a bucket.</summary>
    public async Task CreateBucketAsync(string name)
    {
        using var login = new HttpRequestMessage(HttpMethod.Get, new Uri(Endpoint, "/auth/v1.0"));
        login.Headers.Add("X-Auth-User", AccessKey);
        login.Headers.Add("X-Auth-Key", SecretKey);
        using var session = (await _client.SendAsync(login)).EnsureSuccessStatusCode();
        var storage = session.Headers.GetValues("X-Storage-Url").First();
        using var make = new HttpRequestMessage(HttpMethod.Put, new Uri($"{storage}/{name}"));
        make.Headers.Add("X-Auth-Token", session.Headers.GetValues("X-Auth-Token").First());
        (await _client.SendAsync(make)).EnsureSuccessStatusCode().Dispose();
    }

    private async Task<bool> StartAsync()
    {
        _folder = Directory.CreateTempSubdirectory("shbackup-swift-").FullName;
        var ports = FreePorts(5);
        Endpoint = new Uri($"http://127.0.0.1:{ports[0]}");
        var files = new SwiftFiles(_folder, ports);
        await files.WriteAsync();
        var info = new ProcessStartInfo("/usr/bin/setsid") { RedirectStandardInput = true, UseShellExecute = false, WorkingDirectory = "/" };
        foreach (var argument in (string[])["/bin/sh", "-c", files.Watchdog])
        {
            info.ArgumentList.Add(argument);
        }

        // Its output goes to files: an inherited pipe would keep whoever runs the tests waiting.
        _watchdog = Process.Start(info)!;
        return await IsReadyAsync(_watchdog);
    }

    private async Task<bool> IsReadyAsync(Process watchdog)
    {
        for (var waited = Stopwatch.StartNew(); waited.Elapsed < TimeSpan.FromSeconds(60) && !watchdog.HasExited; await Task.Delay(100))
        {
            try
            {
                using var answer = await _client.GetAsync(new Uri(Endpoint, "/info"));
                if (answer.IsSuccessStatusCode)
                {
                    await CreateBucketAsync("ready");
                    return true;
                }
            }
            catch (HttpRequestException)
            {
                // Not yet: the proxy is up before those behind it are.
            }
        }

        return false;
    }

    private async Task<string> EndAsync()
    {
        var log = string.Empty;
        if (_watchdog is { } watchdog && _folder is { } folder)
        {
            log = File.Exists(Path.Combine(folder, "log")) ? await File.ReadAllTextAsync(Path.Combine(folder, "log")) : "no log";
            watchdog.StandardInput.Close();
            await watchdog.WaitForExitAsync();
            watchdog.Dispose();
            _watchdog = null;
        }

        return log;
    }

    private static List<int> FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(static _ => new TcpListener(IPAddress.Loopback, 0)).ToList();
        listeners.ForEach(static l => l.Start());
        var ports = listeners.ConvertAll(static l => ((IPEndPoint)l.LocalEndpoint).Port);
        listeners.ForEach(static l => l.Dispose());
        return ports;
    }

    private static string? Which(string program) =>
        $"{Environment.GetEnvironmentVariable("PATH")}:/usr/bin:/usr/sbin".Split(':').Select(d => Path.Combine(d, program)).FirstOrDefault(File.Exists);
}
