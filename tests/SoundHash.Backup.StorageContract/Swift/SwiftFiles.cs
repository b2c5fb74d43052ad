using System.Globalization;

namespace SoundHash.Backup.StorageContract.Swift;

/// <summary>The configuration of a Swift of one node in a folder.</summary>
/// <param name="folder">Where all of it is.</param>
/// <param name="ports">Of the proxy, account, container and object server, and of memcached.</param>
internal sealed class SwiftFiles(string folder, IReadOnlyList<int> ports)
{
    public const string Account = "test";
    public const string User = "tester";
    public const string Key = "testing";

    private static readonly string[] Kinds = ["account", "container", "object"];

    private string Etc => Path.Combine(folder, "etc");

    /// <summary>
    /// The script that starts all servers, waits until its input ends, and removes the folder. Swift reads /etc/swift/swift.conf
    /// whatever it is told, so ours lies there in a mount namespace that only they see.
    /// </summary>
    public string Watchdog => $$"""
        exec >'{{folder}}/log' 2>&1
        export PATH="$PATH:/usr/bin:/usr/sbin"
        unshare --mount --pid --fork --kill-child -- /bin/sh -c '
          mount --bind {{Etc}} /etc/swift || exit 1
          /usr/bin/python3 {{Etc}}/rings.py || exit 1
          memcached -u nobody -l 127.0.0.1 -p {{ports[4]}} </dev/null &
          for kind in account container object proxy; do
            swift-$kind-server {{Etc}}/$kind-server.conf </dev/null &
          done
          cat >/dev/null
        '
        rm -rf '{{folder}}'
        """;

    public async Task WriteAsync()
    {
        Directory.CreateDirectory(Etc);
        Directory.CreateDirectory(Path.Combine(folder, "node", "d1"));
        await File.WriteAllTextAsync(Path.Combine(Etc, "swift.conf"), """
            [swift-hash]
            swift_hash_path_suffix = s
            swift_hash_path_prefix = p
            [storage-policy:0]
            name = gold
            default = yes

            """);
        await File.WriteAllTextAsync(Path.Combine(Etc, "rings.py"), Rings());
        for (var n = 0; n < Kinds.Length; n++)
        {
            await File.WriteAllTextAsync(Path.Combine(Etc, $"{Kinds[n]}-server.conf"), Server(Kinds[n], ports[n + 1]));
        }

        await File.WriteAllTextAsync(Path.Combine(Etc, "proxy-server.conf"), Proxy());
    }

    // What swift-ring-builder does in nine runs.
    private string Rings()
    {
        var calls = Kinds.Select((kind, n) => string.Create(CultureInfo.InvariantCulture, $"ring('{kind}', {ports[n + 1]})\n"));
        return $$"""
            from swift.common.ring import RingBuilder
            def ring(kind, port):
                builder = RingBuilder(4, 1, 1)
                builder.add_dev({'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': port, 'device': 'd1', 'weight': 1.0,
                    'replication_ip': '127.0.0.1', 'replication_port': port, 'meta': ''})
                builder.rebalance()
                builder.get_ring().save('{{Etc}}/' + kind + '.ring.gz')
            {{string.Concat(calls)}}
            """;
    }

    private string Defaults(int port) => string.Create(CultureInfo.InvariantCulture, $"""
        [DEFAULT]
        bind_ip = 127.0.0.1
        bind_port = {port}
        user = root
        swift_dir = {Etc}
        log_level = WARNING
        """);

    private string Server(string kind, int port) => $"""
        {Defaults(port)}
        devices = {folder}/node
        mount_check = false
        workers = 1
        [pipeline:main]
        pipeline = {kind}-server
        [app:{kind}-server]
        use = egg:swift#{kind}

        """;

    private string Proxy() => $"""
        {Defaults(ports[0])}
        workers = 2
        [pipeline:main]
        pipeline = catch_errors cache listing_formats bulk s3api tempauth slo dlo versioned_writes symlink proxy-server
        [app:proxy-server]
        use = egg:swift#proxy
        allow_account_management = true
        account_autocreate = true
        [filter:catch_errors]
        use = egg:swift#catch_errors
        [filter:cache]
        use = egg:swift#memcache
        memcache_servers = 127.0.0.1:{ports[4].ToString(CultureInfo.InvariantCulture)}
        [filter:listing_formats]
        use = egg:swift#listing_formats
        [filter:bulk]
        use = egg:swift#bulk
        [filter:s3api]
        use = egg:swift#s3api
        s3_acl = false
        location = us-east-1
        min_segment_size = 1
        [filter:tempauth]
        use = egg:swift#tempauth
        user_{Account}_{User} = {Key} .admin
        [filter:slo]
        use = egg:swift#slo
        rate_limit_after_segment = 100000
        [filter:dlo]
        use = egg:swift#dlo
        [filter:versioned_writes]
        use = egg:swift#versioned_writes
        allow_object_versioning = true
        [filter:symlink]
        use = egg:swift#symlink

        """;
}
