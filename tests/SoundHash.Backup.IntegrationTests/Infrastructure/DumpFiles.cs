namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>Dumps and scripts of the small sample database, as other programs leave them.</summary>
internal static class DumpFiles
{
    private static readonly string Bin = PostgresPrograms.Directory;

    /// <summary>A workspace with keys of age and gpg, <c>$AGE</c> and <c>$GPG</c> for the scripts.</summary>
    public static async Task<Workspace> WorkAsync(PostgresCluster cluster, Samples samples)
    {
        using var sample = await samples.SmallAsync(cluster);
        using var keys = await samples.SmallAsync(cluster, "gpg");
        var work = new Workspace(cluster, Samples.SmallDatabase);
        work.Environment["AGE"] = await work.UseAgeAsync();
        work.Environment["GNUPGHOME"] = keys.Work.Environment["GNUPGHOME"];
        work.Environment["GPG"] = "backup@example.org";
        work.Environment["PGDATABASE"] = Samples.SmallDatabase;
        return work;
    }

    /// <summary>Makes a file with a script, for which <c>$F</c> is the file and <c>$D</c> an uncompressed dump of <c>$PGDATABASE</c>.</summary>
    public static Task<CommandResult> MakeDumpAsync(this Workspace work, string name, string make)
    {
        var environment = work.CleanEnvironment();
        environment["PGHOST"] = work.Cluster.Host;
        environment["PGUSER"] = "postgres";
        environment["PGRESTORE_SOURCE"] = Bin;
        environment["FILE"] = Path.Combine(work.Folder, name);
        environment["DUMP"] = Path.Combine(work.Folder, "made.dump");
        var script = make.Replace("$F", "\"$FILE\"", StringComparison.Ordinal).Replace("$D", "\"$DUMP\"", StringComparison.Ordinal);
        // A program that is cut off by head ends with SIGPIPE: that is meant here.
        return Command.ShellAsync($"set +o pipefail\n{Bin}/pg_dump -Fc -Z0 -f \"$DUMP\"\n{script}", environment, work.Folder);
    }
}
