using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using SoundHash.Backup.IntegrationTests.Infrastructure;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.IntegrationTests.Storage;

/// <summary>Google's credentials, read and sent by the built executable: its compiler must keep what their library reaches by reflection.</summary>
public sealed class GoogleCredentialsTests(PostgresCluster cluster) : IAsyncLifetime
{
    private const string Subject = "the-subject-token";

    private readonly ConcurrentQueue<ScriptedRequest> _asked = [];
    private readonly Workspace _work = new(cluster, "postgres");
    private ScriptedServer _tokens = null!;

    // Refused, since what comes after a token goes to Google itself.
    public ValueTask InitializeAsync()
    {
        _tokens = new ScriptedServer(request =>
        {
            _asked.Enqueue(request);
            return Task.FromResult(ScriptedAnswer.Of(400, """{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}""", "application/json"));
        });
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _work.Dispose();
        return _tokens.DisposeAsync();
    }

    [Fact]
    public async Task A_service_account_asks_for_a_token_with_its_key()
    {
        using var rsa = RSA.Create(2048);

        await AskAsync(new JsonObject
        {
            ["type"] = "service_account",
            ["project_id"] = "project",
            ["private_key_id"] = "id",
            ["private_key"] = rsa.ExportPkcs8PrivateKeyPem(),
            ["client_email"] = "backup@project.iam.gserviceaccount.com",
            ["token_uri"] = new Uri(_tokens.Address, "/token").AbsoluteUri,
        });

        var assertion = Assert.Single(_asked).Form("assertion").Split('.');
        Assert.Equal(3, assertion.Length);
        var claims = JsonNode.Parse(Convert.FromBase64String(Padded(assertion[1])))!;
        Assert.Equal("backup@project.iam.gserviceaccount.com", (string?)claims["iss"]);
    }

    [Fact]
    public async Task A_workload_identity_asks_for_a_token_with_the_token_of_its_file()
    {
        var file = Path.Combine(_work.Folder, "subject");
        await File.WriteAllTextAsync(file, Subject, TestContext.Current.CancellationToken);

        await AskAsync(new JsonObject
        {
            ["type"] = "external_account",
            ["audience"] = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
            ["subject_token_type"] = "urn:ietf:params:oauth:token-type:jwt",
            ["token_url"] = new Uri(_tokens.Address, "/sts").AbsoluteUri,
            ["credential_source"] = new JsonObject { ["file"] = file },
        });

        Assert.Equal(Subject, Assert.Single(_asked).Form("subject_token"));
    }

    private async Task AskAsync(JsonObject credentials)
    {
        var file = Path.Combine(_work.Folder, "credentials.json");
        await File.WriteAllTextAsync(file, credentials.ToJsonString(), TestContext.Current.CancellationToken);
        _work.Set("BACKUP_GCS_ENABLED", "true").Set("BACKUP_GCS_BUCKET", ScriptedGcs.Bucket);
        _work.Environment["GOOGLE_APPLICATION_CREDENTIALS"] = file;

        var result = await _work.RunAsync("backup", "list", "--from", "gcs");

        result.Says("no access token was given: invalid_grant, Invalid JWT Signature (HTTP 400)");
    }

    private static string Padded(string text) => text.Replace('-', '+').Replace('_', '/').PadRight((text.Length + 3) / 4 * 4, '=');
}

file static class Requests
{
    public static string Form(this ScriptedRequest request, string name) =>
        request.Text.Split('&').Select(static p => p.Split('=', 2)).Where(p => p[0] == name).Select(static p => WebUtility.UrlDecode(p[1])).Single();
}
