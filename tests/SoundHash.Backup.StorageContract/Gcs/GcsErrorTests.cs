using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.Gcs;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.Gcs;

/// <summary>What no other attempt will cure: a clear error of every operation, with a hint and no secret.</summary>
public sealed class GcsErrorTests : ScriptedGcsTests
{
    public static TheoryData<int, string, string, string> Refusals => new()
    {
        { 403, "forbidden", "backup@project.iam.gserviceaccount.com does not have access.", "these credentials need storage.objects." },
        { 403, "quotaExceeded", "The quota is used up.", "raise it" },
        { 403, "accountDisabled", "The project to be billed is associated with a closed billing account.", "billing is off" },
        { 403, "forbidden", "Permission denied on Cloud KMS key.", "roles/cloudkms.cryptoKeyEncrypterDecrypter" },
        { 401, "authError", "Invalid Credentials", "does not take the token" },
        { 404, "notFound", "The specified bucket does not exist.", "gcloud storage buckets create gs://backups" },
        { 400, "invalid", "Nonsense.", "HTTP 400" },
    };

    private GcsOptions LockingOptions => Options with { Lock = GcsLock.Unlocked };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task What_a_store_refuses_is_an_error_of_every_operation_with_a_hint(int status, string reason, string message, string hint)
    {
        Gcs.Server.Fail(new Fault { Times = 999, Answer = ScriptedGcs.Error(status, reason, message) });
        foreach (var (verb, attempt) in Operations)
        {
            using var store = Open(LockingOptions);
            var before = Gcs.Server.Requests.Count;

            var e = await Assert.ThrowsAsync<StorageException>(() => attempt(store));

            AssertClear(e, $"can't {verb}", status == 404 ? "there is no bucket backups" : message.TrimEnd('.'), $"({reason}, HTTP {status}, request request-id", hint);
            Assert.InRange(Gcs.Server.Requests.Count - before, 1, 3);
        }
    }

    [Fact]
    public async Task A_bucket_that_is_not_there_is_an_error_and_never_an_empty_store()
    {
        Gcs.HasBucket = false;
        foreach (var (verb, attempt) in Operations)
        {
            using var store = Open(LockingOptions);
            AssertClear(await Assert.ThrowsAsync<StorageException>(() => attempt(store)), $"can't {verb}", "there is no bucket backups");
        }
    }

    [Fact]
    public async Task An_answer_that_is_no_json_is_said_as_it_is_and_a_page_is_not()
    {
        using var store = Open();
        Gcs.Server.Fail(new Fault { Answer = ScriptedAnswer.Of(400, "plain\nnonsense", "text/plain") });
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.StatAsync("k", Cancel)), "plain nonsense (HTTP 400, no request id)");

        Gcs.Server.Fail(new Fault { Answer = ScriptedAnswer.Of(400, "<html>nonsense</html>", "text/html") });
        var e = await Assert.ThrowsAsync<StorageException>(() => store.StatAsync("k", Cancel));
        Assert.DoesNotContain("html", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_that_has_run_out_is_renewed_once()
    {
        var tokens = new GivenTokens("old", ScriptedGcs.GoodToken);
        using var store = new GcsObjectStore(Options, tokens);
        await store.PutAsync("k", "x");
        await store.PutAsync("large", Large);
        Assert.Equal(("x", Large, 1), (Stored("k"), Stored("large"), tokens.Renewals));

        Gcs.Tokens.Clear();
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k2", "x")), "Invalid Credentials", "HTTP 401", "does not take the token");
        Assert.Equal(2, tokens.Renewals);
    }

    [Fact]
    public async Task A_token_that_runs_out_within_an_upload_is_renewed()
    {
        using var store = new GcsObjectStore(Options, new GivenTokens(ScriptedGcs.GoodToken, "new"));
        Gcs.Tokens["new"] = true;
        Gcs.Server.Fail(new Fault { When = IsChunk, After = 2, Answer = ScriptedGcs.Error(401, "authError", "Invalid Credentials") });

        await store.PutAsync("large", Large);

        Assert.Equal(Large, Stored("large"));
    }

    [Fact]
    public async Task An_address_where_nobody_listens_is_an_error_within_three_attempts()
    {
        var options = Options;
        await Gcs.DisposeAsync();
        using var store = Open(options);

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => store.KeysAsync("sets/"));

        AssertClear(e, "can't list sets/", options.Endpoint!.GetLeftPart(UriPartial.Authority), "the connection to the store failed: Connection refused", "reachable");
    }

    [Fact]
    public async Task A_name_that_can_not_be_resolved_is_an_error_that_says_so()
    {
        using var store = Open(GcsStores.OptionsAt(new Uri("http://no-such-store.invalid")) with { Stall = TimeSpan.FromSeconds(20) });

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => store.KeysAsync("sets/"));

        AssertClear(e, "no-such-store.invalid", "can't be resolved", "getent hosts");
    }

    [Fact]
    public async Task A_certificate_that_nobody_vouches_for_is_an_error_that_says_so()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
        await using var secure = new ScriptedGcs(certificate);
        using var store = Open(GcsStores.OptionsAt(secure.Server.Address) with { Stall = TimeSpan.FromSeconds(20) });

        var e = await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync("sets/"));

        AssertClear(e, "TLS", "certificate", "update-ca-certificates");
    }

    [Fact]
    public async Task An_address_that_carries_a_password_is_never_said()
    {
        Gcs.Denied["storage.objects.list"] = true;
        using var store = Open(Options with { Endpoint = new UriBuilder(Gcs.Server.Address) { UserName = "me", Password = "opensesame" }.Uri });

        var e = await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync("sets/"));

        Assert.DoesNotContain("opensesame", e.ToString(), StringComparison.Ordinal);
    }

    // Whoever has a session's id can write to it.
    [Fact]
    public async Task The_id_of_an_upload_session_is_never_said_whole()
    {
        using var store = Open();
        Gcs.Server.Fail(new Fault { When = IsLast, Answer = ScriptedGcs.Error(400, "invalid", "x").With("X-GUploader-UploadID", "session-id-1-which-nobody-may-see") });

        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", Large)), "request session-id-1…");
    }

    [Fact]
    public async Task With_credentials_that_may_only_write_objects_are_made()
    {
        MayOnlyWrite();
        using var store = Open();

        await store.PutAsync("small", "small");
        await store.PutAsync("large", Large);

        Assert.Equal(("small", Large), (Stored("small"), Stored("large")));
        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("small", "again"));
        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("large", Large));
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("small", "again", WriteMode.Replace)), "storage.objects.delete access", "storage.objects.delete where an object is replaced");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.StatAsync("small", Cancel)), "can't read small", "storage.objects.get access", "storage.objects.list to tell");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.GetAsync("small")), "can't read small", "storage.objects.get access");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync(string.Empty)), "can't list", "storage.objects.list access");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("small", Cancel)), "can't delete small", "storage.objects.delete access");
    }

    [Fact]
    public async Task With_credentials_that_may_only_write_a_lost_answer_is_an_error_where_it_can_not_be_told_whose_the_object_is()
    {
        MayOnlyWrite();
        using var store = Open();
        Gcs.Server.Fail(new Fault { When = IsWhole, CutsAnswer = true });
        Gcs.Server.Fail(new Fault { When = IsLast, CutsAnswer = true });

        // Of a session its own state can be asked for.
        await store.PutAsync("large", Large);
        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("small", "small"));

        AssertClear(e, "can't write small", "an answer was lost", "can't be told", "allow storage.objects.get");
        Assert.Equal(("small", Large), (Stored("small"), Stored("large")));
    }

    [Fact]
    public void A_proxy_that_carries_a_password_is_said_without_it()
    {
        var inner = new HttpRequestException("The proxy tunnel request to proxy 'http://me:opensesame@proxy:3128/' failed with status code '407'");

        var e = new GcsErrors(Options).Of(inner, new GcsTask("read", "k"));

        AssertClear(e, "'http://proxy:3128/' failed with status code '407'");
        Assert.DoesNotContain("opensesame", e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_large_object_that_is_refused_is_not_sent_first()
    {
        Gcs.Server.Fail(new Fault { When = IsWhole, Answer = ScriptedGcs.Error(403, "forbidden", "No right."), AnswersEarly = true });
        using var store = Open(Options with { ChunkSize = 64 * 1024 * 1024 });

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", new string('x', 30_000_000)));

        AssertClear(e, "can't write k", "No right (forbidden, HTTP 403");
    }

    private void MayOnlyWrite()
    {
        foreach (var right in (string[])["get", "list", "delete", "update", "setRetention"])
        {
            Gcs.Denied[$"storage.objects.{right}"] = true;
        }
    }
}
