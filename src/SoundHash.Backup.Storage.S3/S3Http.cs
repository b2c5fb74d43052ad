using System.Net;
using System.Net.Sockets;
using Amazon.Runtime;

namespace SoundHash.Backup.Storage.S3;

/// <summary>
/// The HTTP client of one store. Unlike the SDK's own it lets the system take only little of a body that it has not sent yet:
/// otherwise megabytes seem to have moved that a slow line carries for minutes, and a stall can't be told from it.
/// </summary>
internal sealed class S3Http : HttpClientFactory, IDisposable
{
    private const int TcpNotSentLowAt = 25;
    private const int Unsent = 128 * 1024;

    private readonly HttpClient _client;

    /// <summary>Makes it; proxies are those of the environment (HTTPS_PROXY, NO_PROXY).</summary>
    /// <param name="connectTimeout">How long a connection may take to be made.</param>
    public S3Http(TimeSpan connectTimeout)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = connectTimeout,
            // The SDK itself follows redirections: it has to sign again.
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
            // Stores close what is idle; a connection that has just been closed costs a request.
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(15),
            // So that changed addresses of a name are seen.
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            ConnectCallback = ConnectAsync,
        };
        // Stalls are watched for; how long a whole request may take depends on its size and the line.
        _client = new HttpClient(new LargeBodiesAskFirst(handler)) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <inheritdoc/>
    public override HttpClient CreateHttpClient(IClientConfig clientConfig) => _client;

    /// <inheritdoc/>
    public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

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

    // Asking whether a body is welcome costs a round trip, and up to a second with a store that does not answer to it. It saves
    // sending a large one in vain, and the broken connection that hides why it was refused.
    private sealed class LargeBodiesAskFirst(HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        private const long Large = 1024 * 1024;

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.ExpectContinue = request.Content?.Headers.ContentLength >= Large;
            return base.SendAsync(request, cancellationToken);
        }
    }
}
