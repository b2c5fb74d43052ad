using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Amazon.Runtime;
using SoundHash.Backup.Storage;
using SoundHash.Backup.Storage.S3;
using SoundHash.Backup.StorageContract.Scripted;

namespace SoundHash.Backup.StorageContract.S3;

/// <summary>What no other attempt will cure: a clear error of every operation, with a hint and no secret.</summary>
public sealed class S3ErrorTests : ScriptedS3Tests
{
    public static TheoryData<int, string, string, string> Refusals => new()
    {
        { 403, "AccessDenied", "Access Denied", "another account's" },
        { 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", "check the access key" },
        { 403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.", "check the access key" },
        { 403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", "clock is wrong" },
        { 400, "ExpiredToken", "The provided token has expired.", "renew them" },
        { 400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'", "set the region to eu-west-1" },
        { 301, "PermanentRedirect", "The bucket must be addressed using the specified endpoint.", "in another region" },
        { 507, "InsufficientStorage", "No room", "full" },
        { 403, "QuotaExceeded", "Your quota is used up", "full" },
        { 400, "KMS.DisabledException", "The key is disabled", "kms:GenerateDataKey" },
        { 403, "InvalidObjectState", "The operation is not valid for the object's storage class", "restore it there first" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task What_a_store_refuses_is_an_error_of_every_operation_with_a_hint(int status, string code, string message, string hint)
    {
        S3.Server.Fail(new Fault { Times = 999, Answer = ScriptedS3.Error(status, code, message) });
        foreach (var (verb, attempt) in Operations())
        {
            using var store = Open();
            var before = S3.Server.Requests.Count;

            var e = await Assert.ThrowsAsync<StorageException>(() => attempt(store));

            AssertClear(e, $"can't {verb}", message.TrimEnd('.'), $"({code}, HTTP {status}, request REQ-{code})", hint);
            Assert.InRange(S3.Server.Requests.Count - before, 1, 3);
        }
    }

    [Fact]
    public async Task A_bucket_that_is_not_there_is_an_error_and_never_an_empty_store()
    {
        foreach (var (verb, attempt) in Operations())
        {
            using var store = Open(Options with { ConditionalWrites = ConditionalWrites.Unknown });
            using var missing = Open(Options with { Bucket = "bucket-of-nobody" });

            var e = await Assert.ThrowsAsync<StorageException>(() => attempt(missing));

            AssertClear(e, $"can't {verb}", "NoSuchBucket", "create the bucket bucket-of-nobody");
            await store.PutAsync(Guid.NewGuid().ToString(), "x");
        }
    }

    [Fact]
    public async Task The_clocks_of_store_and_client_are_compared()
    {
        S3.Skew = TimeSpan.FromHours(1);
        using var store = Open();

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", "x"));

        AssertClear(e, "RequestTimeTooSkewed", "timedatectl");
    }

    [Fact]
    public async Task An_object_that_is_not_there_is_no_error_where_HEAD_was_refused_and_GET_says_so()
    {
        using var store = Open();
        S3.Server.Fail(new Fault { When = static r => r.Method == "HEAD", Answer = new ScriptedAnswer(403) });

        Assert.Null(await store.StatAsync("k", Cancel));
        Assert.Equal(1, S3.Server.Failures);
    }

    [Fact]
    public async Task Credentials_that_have_run_out_are_renewed_once()
    {
        var renewing = new RenewingCredentials();
        S3.Server.Fail(new Fault { Answer = ScriptedS3.Error(400, "ExpiredToken", "The provided token has expired.") });
        using var store = new S3ObjectStore(Options, renewing);

        await store.PutAsync("k", "x");
        Assert.Equal(2, renewing.Made);

        S3.Server.Fail(new Fault { Times = 99, Answer = ScriptedS3.Error(400, "ExpiredToken", "The provided token has expired.") });
        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k2", "x"));
        AssertClear(e, "ExpiredToken", "renew them");
        Assert.Equal(3, renewing.Made);
    }

    // The answer to HEAD does not say that this is why.
    [Fact]
    public async Task Credentials_that_have_run_out_are_renewed_for_a_look_too()
    {
        S3.PutForeign("a/prefix/k", "x");
        S3.Server.Fail(new Fault { Times = 2, Answer = ScriptedS3.Error(400, "ExpiredToken", "The provided token has expired.") });
        using var store = new S3ObjectStore(Options, new RenewingCredentials());

        Assert.NotNull(await store.StatAsync("k", Cancel));
    }

    [Fact]
    public async Task The_right_region_is_said_where_the_store_names_it()
    {
        S3.Server.Fail(new Fault { Times = 9, Answer = ScriptedS3.Error(301, "PermanentRedirect", "Elsewhere").With("x-amz-bucket-region", "eu-north-1") });
        using var store = Open();

        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.StatAsync("k", Cancel)), "set the region to eu-north-1");
    }

    [Fact]
    public async Task A_profile_that_is_not_there_is_an_error_that_says_where_credentials_come_from()
    {
        using var store = new S3ObjectStore(Options with { Profile = "no-such-profile" });

        var e = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("k", "x"));

        AssertClear(e, "no-such-profile", "AWS_ACCESS_KEY_ID");
    }

    [Fact]
    public async Task An_address_where_nobody_listens_is_an_error_within_three_attempts()
    {
        var address = S3.Server.Address;
        await S3.Server.DisposeAsync();
        using var store = Open(S3Stores.OptionsAt(address));

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => store.KeysAsync("sets/"));

        AssertClear(e, "can't list sets/", address.GetLeftPart(UriPartial.Authority), "Connection refused", "reachable");
    }

    [Fact]
    public async Task A_name_that_can_not_be_resolved_is_an_error_that_says_so()
    {
        using var store = Open(S3Stores.OptionsAt(new Uri("http://no-such-store.invalid")));

        var e = await Assert.ThrowsAsync<TransientStorageException>(() => store.KeysAsync("sets/"));

        AssertClear(e, "no-such-store.invalid", "can't be resolved", "getent hosts");
    }

    [Fact]
    public async Task A_certificate_that_nobody_vouches_for_is_an_error_that_says_so()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
        await using var secure = new ScriptedS3(certificate);
        using var store = Open(S3Stores.OptionsAt(secure.Server.Address));

        var e = await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync("sets/"));

        AssertClear(e, "TLS", "certificate", "update-ca-certificates");
    }

    [Fact]
    public async Task An_address_that_carries_a_password_is_never_said()
    {
        S3.Server.Fail(new Fault { Times = 99, Answer = ScriptedS3.Error(403, "AccessDenied", "no") });
        using var store = Open(S3Stores.OptionsAt(new UriBuilder(S3.Server.Address) { UserName = "me", Password = "opensesame" }.Uri));

        var e = await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync("sets/"));

        Assert.DoesNotContain("opensesame", e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_proxy_that_carries_a_password_is_said_without_it()
    {
        var inner = new HttpRequestException("The proxy tunnel request to proxy 'http://me:opensesame@proxy:3128/' failed with status code '407'");

        var e = new S3Errors(Options).Of(inner, new S3Task("read", "k"));

        AssertClear(e, "'http://proxy:3128/' failed with status code '407'");
        Assert.DoesNotContain("opensesame", e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_keys_that_may_only_write_objects_are_made_and_what_can_not_be_told_is_said()
    {
        S3.Denied = static r => r.Method is "GET" or "HEAD" or "DELETE";
        using var store = Open(Options with { ConditionalWrites = ConditionalWrites.Unknown });

        await store.PutAsync("small", "small");
        await store.PutAsync("large", Large);

        Assert.Equal(("small", Large), (Stored("small"), Stored("large")));
        var exists = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("small", "again"));
        AssertClear(exists, "can't write small", "HEAD is denied", "s3:GetObject");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.StatAsync("small", Cancel)), "can't read small", "AccessDenied", "s3:ListBucket");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.KeysAsync(string.Empty)), "can't list", "AccessDenied", "s3:ListBucket");
        AssertClear(await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("small", Cancel)), "can't delete small", "AccessDenied", "s3:DeleteObject");
    }

    private static List<(string Verb, Func<IObjectStore, Task> Attempt)> Operations() =>
    [
        ("write k", static s => s.PutAsync("k", "x")),
        ("write k", static s => s.PutAsync("k", "x", WriteMode.Replace)),
        ("write large", static s => s.PutAsync("large", Large)),
        ("read k", static s => s.GetAsync("k")),
        ("read k", static s => s.GetAsync("k", 5)),
        ("read k", static s => s.StatAsync("k", Cancel)),
        ("read k", static s => s.ConfirmAsync("k", Cancel)),
        ("list sets/", static s => s.KeysAsync("sets/")),
        ("delete k", static s => s.DeleteAsync("k", Cancel)),
        ("list unfinished uploads of sets/", static s => s.RemoveAbandonedWritesAsync("sets/", DateTimeOffset.MaxValue, Cancel)),
    ];

    private sealed class RenewingCredentials : RefreshingAWSCredentials
    {
        public int Made { get; private set; }

        protected override CredentialsRefreshState GenerateNewCredentials() => Next();

        protected override Task<CredentialsRefreshState> GenerateNewCredentialsAsync() => Task.FromResult(Next());

        private CredentialsRefreshState Next()
        {
            Made++;
            return new CredentialsRefreshState(
                new ImmutableCredentials(ScriptedS3.AccessKey, S3Stores.Secret, "a-token"),
                TimeProvider.System.GetUtcNow().UtcDateTime.AddHours(1));
        }
    }
}
