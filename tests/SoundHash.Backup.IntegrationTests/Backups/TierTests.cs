using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Backups;

/// <summary>How long a set is kept is what somebody said, and never a coincidence of names.</summary>
public sealed class TierTests(PostgresCluster cluster)
{
    // Guards against this: a name gave no tier, so that weekly and monthly backups died after 30 days.
    [Theory]
    [InlineData("nightly", null, "standard", 30)]
    [InlineData("weekly_backup", null, "extended", 90)]
    [InlineData("monthly_backup", null, "archive", 365)]
    [InlineData("weekly_backup", "archive", "archive", 365)]
    [InlineData("nightly", "extended", "extended", 90)]
    public async Task The_tier_comes_from_the_option_or_the_name_and_decides_how_long_a_set_is_kept(
        string name,
        string? option,
        string tier,
        int days)
    {
        using var work = new Workspace(cluster, await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)"));
        string[] arguments = option is null ? ["--name", name] : ["--name", name, "--tier", option];

        var document = await work.JsonAsync(0, ["backup", .. arguments]);

        var set = document.GetProperty("databases")[0].GetProperty("set");
        Assert.Equal(tier, set.GetProperty("tier").GetString());
        Assert.Equal(days, (set.GetProperty("expires").GetDateTimeOffset() - set.GetProperty("started").GetDateTimeOffset()).TotalDays);
        Assert.Matches($"^{name}_[0-9]{{8}}_[0-9]{{6}}$", set.GetProperty("id").GetString());
    }

    // Guards against this: the default name is made of the database's, and chose the tier.
    [Theory]
    [InlineData("monthly_reports")]
    [InlineData("weekly_charts")]
    public async Task The_name_of_a_database_chooses_no_tier(string prefix)
    {
        var database = await cluster.CreateDatabaseAsync("CREATE TABLE t (id int)", prefix);
        using var work = new Workspace(cluster, database);

        var id = await work.BackupAsync();

        Assert.StartsWith(database, id, StringComparison.Ordinal);
        Assert.Equal("standard", (string?)new SetEditor(work.SetFolder(id)).Manifest["tier"]);
    }
}
