using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Google.Apis.Auth.OAuth2;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>Tokens by Google's library, of a service account that a test makes up and a token server of its own.</summary>
public sealed class GoogleTokensTests : ScriptedGcsTests, IAsyncLifetime
{
    private const string Renewed = "the-second-token";

    private readonly ConcurrentQueue<ScriptedAnswer> _answers = [];
    private ScriptedServer _server = null!;
    private string _key = string.Empty;

    public ValueTask InitializeAsync()
    {
        _server = new ScriptedServer(_ => Task.FromResult(_answers.TryDequeue(out var answer) ? answer : ScriptedAnswer.Of(500, "too many")));
        using var rsa = RSA.Create(2048);
        _key = new JsonObject
        {
            ["type"] = "service_account",
            ["project_id"] = "project",
            ["private_key_id"] = "id",
            ["private_key"] = rsa.ExportPkcs8PrivateKeyPem(),
            ["client_email"] = "backup@project.iam.gserviceaccount.com",
            ["token_uri"] = new Uri(_server.Address, "/token").AbsoluteUri,
        }.ToJsonString();
        return ValueTask.CompletedTask;
    }

    async ValueTask IAsyncDisposable.DisposeAsync()
    {
        await _server.DisposeAsync();
        await DisposeAsync();
    }

    [Fact]
    public async Task A_token_is_fetched_once_and_again_when_the_store_does_not_take_it()
    {
        _answers.Enqueue(Token(ScriptedGcs.GoodToken));
        _answers.Enqueue(Token(Renewed));
        using var store = new GcsObjectStore(Options, Tokens());
        await store.PutAsync("k", "x");
        Assert.Equal("x", await store.GetAsync("k"));
        Assert.Single(_server.Requests);

        Gcs.Tokens.Clear();
        Gcs.Tokens[Renewed] = true;

        Assert.Equal("x", await store.GetAsync("k"));
        Assert.Equal(2, _server.Requests.Count);
    }

    public static TheoryData<string, string, string> Refusals => new()
    {
        { "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.", "clock is wrong" },
        { "invalid_grant", "Invalid JWT Signature.", "make a new one" },
        { "invalid_grant", "Token has been expired or revoked.", "gcloud auth application-default login" },
        { "unauthorized_client", "Client is unauthorized.", "GOOGLE_APPLICATION_CREDENTIALS" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_token_that_is_refused_is_an_error_that_says_why(string error, string description, string hint)
    {
        _answers.Enqueue(ScriptedAnswer.Of(400, new JsonObject { ["error"] = error, ["error_description"] = description }.ToJsonString(), "application/json"));
        using var store = new GcsObjectStore(Options, Tokens());

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", "x"));

        AssertClear(e, "can't write k", "no access token was given", error, description.TrimEnd('.'), "HTTP 400", hint);
        Assert.Empty(Gcs.Server.Requests);
    }

    [Fact]
    public async Task A_token_server_that_fails_is_asked_again()
    {
        _answers.Enqueue(ScriptedAnswer.Of(500, "{}", "application/json"));
        _answers.Enqueue(Token(ScriptedGcs.GoodToken));
        using var store = new GcsObjectStore(Options, Tokens());

        await store.PutAsync("k", "x");

        Assert.Equal("x", Stored("k"));
    }

    [Fact]
    public async Task A_token_server_that_is_not_there_is_told_from_the_store()
    {
        using var store = new GcsObjectStore(Options, new GivenTokens { Failure = new HttpRequestException(HttpRequestError.NameResolutionError, "Name or service not known (tokens.invalid:443)") });

        AssertClear(await Assert.ThrowsAsync<TransientStorageException>(() => store.PutAsync("k", "x")), "the name of the token server can't be resolved");
    }

    [Fact]
    public async Task A_file_of_credentials_that_is_not_there_is_an_error_that_names_it()
    {
        using var store = new GcsObjectStore(Options, new GoogleTokens(static async cancel => (await CredentialFactory.FromFileAsync<ServiceAccountCredential>("/no/such/key.json", cancel)).ToGoogleCredential()));

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", "x"));

        AssertClear(e, "no credentials can be used", "/no/such/key.json", "GOOGLE_APPLICATION_CREDENTIALS");
    }

    [Theory]
    [InlineData("http://{0}")]
    [InlineData("{0}")]
    public async Task An_emulator_is_asked_without_a_token(string host)
    {
        using var store = new GcsObjectStore(Options with { Endpoint = null, EmulatorHost = string.Format(System.Globalization.CultureInfo.InvariantCulture, host, Gcs.Server.Address.Authority) });

        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", "x")), $"at http://{Gcs.Server.Address.Authority}", "HTTP 401");

        Assert.Null(Assert.Single(Gcs.Server.Requests).Header("Authorization"));
    }

    private GoogleTokens Tokens() => new(_ => Task.FromResult(CredentialFactory.FromJson<ServiceAccountCredential>(_key).ToGoogleCredential()));

    private static ScriptedAnswer Token(string token) => ScriptedAnswer.Of(
        200, new JsonObject { ["access_token"] = token, ["expires_in"] = 3600, ["token_type"] = "Bearer" }.ToJsonString(), "application/json");
}
