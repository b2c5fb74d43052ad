using System.Net;
using System.Net.Sockets;

namespace SoundHash.Backup.Storage.Gcs;

/// <summary>
/// Makes the HTTP client of one store. The system takes only little of a body that it has not sent yet: otherwise megabytes seem to
/// have moved that a slow line carries for minutes, and a stall can't be told from it.
/// </summary>
internal static class GcsHttp
{
    private const int TcpNotSentLowAt = 25;
    private const int Unsent = 128 * 1024;
    private static readonly TimeSpan LongestConnect = TimeSpan.FromSeconds(15);

    /// <summary>A client that tries nothing again; proxies are those of the environment (HTTPS_PROXY, NO_PROXY).</summary>
    /// <param name="stall">How long no byte may move; connections may take no longer to be made.</param>
    public static HttpClient Make(TimeSpan stall) => new(new SocketsHttpHandler
    {
        // The "308 Resume Incomplete" of an upload is no redirect, and nothing else here is one.
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        ConnectTimeout = stall < LongestConnect ? stall : LongestConnect,
        // So that changed addresses of a name are seen.
        PooledConnectionLifetime = TimeSpan.FromMinutes(10),
        ConnectCallback = ConnectAsync,
    })
    {
        // Stalls are watched for; how long a whole request may take depends on its size and the line.
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.SetRawSocketOption((int)ProtocolType.Tcp, TcpNotSentLowAt, BitConverter.GetBytes(Unsent));
            await socket.ConnectAsync(context.DnsEndPoint, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
