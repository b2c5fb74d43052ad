using System.Globalization;
using SoundHash.Backup.StorageContract.S3;
using SoundHash.Backup.StorageContract.Swift;

// A store of the tests by itself, for benchmarks, until its input ends. Prints its address, access key, secret key and bucket.
switch (args)
{
    // The scripted S3. It believes checksums, so that what is measured is the client.
    case ["s3", var latency]:
        await using (var s3 = new ScriptedS3 { TrustsChecksums = true })
        {
            s3.Server.Latency = TimeSpan.FromMilliseconds(int.Parse(latency, CultureInfo.InvariantCulture));
            await ServeAsync(s3.Server.Address, ScriptedS3.AccessKey, "secret", ScriptedS3.Bucket);
        }

        return 0;

    case ["swift"]:
        await using (var swift = new SwiftServer())
        {
            await swift.InitializeAsync();
            await swift.CreateBucketAsync("bench");
            await ServeAsync(swift.Endpoint, swift.AccessKey, swift.SecretKey, "bench");
        }

        return 0;

    default:
        await Console.Error.WriteLineAsync("usage: bench-server s3 LATENCY-MS | bench-server swift");
        return 2;
}

static async Task ServeAsync(Uri address, string accessKey, string secretKey, string bucket)
{
    Console.WriteLine($"{address.GetLeftPart(UriPartial.Authority)} {accessKey} {secretKey} {bucket}");
    while (await Console.In.ReadLineAsync() is not null)
    {
    }
}
