using System.Net;
using System.Text;

namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>The server of the tests speaks HTTP as a real client understands it, and fails as it is told.</summary>
public sealed class ScriptedServerTests : IAsyncDisposable
{
    private readonly ScriptedServer _server = new(static request => Task.FromResult(ScriptedAnswer.Of(200, $"{request} {request.Text}")));
    private readonly HttpClient _client = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_body_comes_with_a_length_in_chunks_and_after_it_was_asked_for(bool chunked, bool expect)
    {
        for (var round = 0; round < 3; round++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, new Uri(_server.Address, "/a%20b/c?x=1%2F2&y"));
            request.Content = new StringContent(new string('x', 200_000));
            request.Headers.TransferEncodingChunked = chunked;
            request.Headers.ExpectContinue = expect;

            using var answer = await _client.SendAsync(request, Cancel);

            Assert.Equal($"PUT /a%20b/c?x=1/2&y= {new string('x', 200_000)}", await answer.Content.ReadAsStringAsync(Cancel));
        }
    }

    [Fact]
    public async Task A_fault_is_for_the_requests_that_it_names_as_often_as_it_says()
    {
        _server.Fail(new Fault { When = static r => r.Path == "/a", After = 1, Times = 2, Answer = ScriptedAnswer.Of(503, "busy").With("Retry-After", "7") });

        var statuses = new List<HttpStatusCode>();
        foreach (var path in (string[])["/a", "/b", "/a", "/a", "/a"])
        {
            using var answer = await _client.GetAsync(new Uri(_server.Address, path), Cancel);
            statuses.Add(answer.StatusCode);
            Assert.Equal(answer.IsSuccessStatusCode ? null : TimeSpan.FromSeconds(7), answer.Headers.RetryAfter?.Delta);
        }

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable, HttpStatusCode.ServiceUnavailable, HttpStatusCode.OK], statuses);
        Assert.Equal(2, _server.Failures);
    }

    public static TheoryData<string> Cuts => ["in the request", "before the answer", "in the answer"];

    [Theory]
    [MemberData(nameof(Cuts))]
    public async Task A_connection_that_is_cut_is_an_error_of_the_client(string where)
    {
        _server.Fail(where switch
        {
            "in the request" => new Fault { Times = 9, CutRequestAfter = 100_000 },
            "before the answer" => new Fault { Times = 9, CutsAnswer = true },
            _ => new Fault { Times = 9, CutAnswerAfter = 100_000 },
        });

        using var content = new ByteArrayContent(Encoding.ASCII.GetBytes(new string('x', 8_000_000)));
        await Assert.ThrowsAsync<HttpRequestException>(() => _client.PutAsync(_server.Address, content, Cancel));
    }

    [Fact]
    public async Task A_stall_lasts_until_the_client_goes()
    {
        foreach (var fault in (Fault[])[new() { Delay = Timeout.InfiniteTimeSpan }, new() { StallAnswerAfter = 3 }, new() { StallRequestAfter = 3 }])
        {
            _server.Fail(fault);
            using var patience = new CancellationTokenSource(200);
            using var content = new ByteArrayContent(new byte[100]);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _client.PutAsync(_server.Address, content, patience.Token));
        }
    }
}
