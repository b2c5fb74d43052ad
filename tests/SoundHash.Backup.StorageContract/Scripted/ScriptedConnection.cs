using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>One connection of a client: request after request, until one of the two goes or a fault cuts it.</summary>
internal sealed class ScriptedConnection(ScriptedServer server, TcpClient client, CancellationToken end) : IDisposable
{
    private Stream _stream = client.GetStream();

    public void Dispose()
    {
        _stream.Dispose();
        client.Dispose();
    }

    public async Task RunAsync(X509Certificate2? certificate)
    {
        client.NoDelay = true;
        if (certificate is not null)
        {
            var secure = new SslStream(_stream);
            _stream = secure;
            await secure.AuthenticateAsServerAsync(certificate, clientCertificateRequired: false, checkCertificateRevocation: false);
        }

        var reader = new HttpReader(_stream, end);
        while (await reader.HeadAsync() is { } text)
        {
            var head = ScriptedRequest.Parse(text);
            var fault = server.Begin(head) ?? new Fault();
            try
            {
                if (!await ServeAsync(reader, head, fault))
                {
                    return;
                }
            }
            finally
            {
                server.Finish();
            }
        }
    }

    // False when the connection has ended with it.
    private async Task<bool> ServeAsync(HttpReader reader, ScriptedRequest head, Fault fault)
    {
        if (fault is { AnswersEarly: true, Answer: { } early })
        {
            await WriteAsync(early.With("Connection", "close"), head, fault);
            return false;
        }

        if (string.Equals(head.Header("Expect"), "100-continue", StringComparison.OrdinalIgnoreCase))
        {
            await _stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), end);
        }

        var body = await reader.BodyAsync(head, fault.CutRequestAfter ?? fault.StallRequestAfter, fault.RequestPause);
        if (fault.CutRequestAfter is not null || fault.StallRequestAfter is not null)
        {
            await BreakAsync(head with { Body = body, IsWhole = false }, fault);
            return false;
        }

        var answer = fault.Change(fault.Answer ?? await server.HandleAsync(head with { Body = body }));
        await Task.Delay(server.Latency + Max(fault.Delay), end);
        if (fault.CutsAnswer || fault.Delay == Timeout.InfiniteTimeSpan)
        {
            if (!fault.CutsAnswer)
            {
                await GoneAsync();
            }

            return false;
        }

        return await WriteAsync(answer, head, fault) && answer.Headers.GetValueOrDefault("Connection") != "close";
    }

    private static TimeSpan Max(TimeSpan delay) => delay > TimeSpan.Zero ? delay : TimeSpan.Zero;

    private async Task BreakAsync(ScriptedRequest part, Fault fault)
    {
        if (fault.KeepsPart)
        {
            await server.HandleAsync(part);
        }

        if (fault.StallRequestAfter is not null)
        {
            // What the client still sends piles up in the socket's buffers.
            await Task.Delay(Timeout.InfiniteTimeSpan, end);
        }

        client.Client.LingerState = new LingerOption(enable: true, seconds: 0);
    }

    // Ends when the client has closed its side.
    private async Task GoneAsync()
    {
        var rest = new byte[4096];
        while (await _stream.ReadAsync(rest, end) > 0)
        {
        }
    }

    private async Task<bool> WriteAsync(ScriptedAnswer answer, ScriptedRequest request, Fault fault)
    {
        var head = new StringBuilder().Append(CultureInfo.InvariantCulture, $"HTTP/1.1 {answer.Status} Answer\r\n");
        foreach (var (name, value) in answer.Headers)
        {
            head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        }

        if (answer.Status is not (204 or 304))
        {
            head.Append(CultureInfo.InvariantCulture, $"Content-Length: {answer.Length ?? answer.Body.Length}\r\n");
        }

        await _stream.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()), end);
        var body = request.Method == "HEAD" ? default : answer.Body;
        var most = (int)Math.Min(fault.CutAnswerAfter ?? fault.StallAnswerAfter ?? long.MaxValue, body.Length);
        await WritePacedAsync(body[..most], fault);
        if (fault.StallAnswerAfter is not null)
        {
            await GoneAsync();
        }

        return fault.CutAnswerAfter is null && fault.StallAnswerAfter is null;
    }

    private async Task WritePacedAsync(ReadOnlyMemory<byte> body, Fault fault)
    {
        if (fault.AnswerPause == TimeSpan.Zero)
        {
            await _stream.WriteAsync(body, end);
            return;
        }

        for (var at = 0; at < body.Length; at += fault.AnswerPiece)
        {
            await _stream.WriteAsync(body[at..Math.Min(at + fault.AnswerPiece, body.Length)], end);
            await Task.Delay(fault.AnswerPause, end);
        }
    }
}
