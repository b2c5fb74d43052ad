using SoundHash.Backup.Backups.Physical;

namespace SoundHash.Backup.UnitTests.Backups;

/// <summary>How files are divided among volumes.</summary>
public sealed class VolumePlanTests
{
    private const long MiB = 1024 * 1024;

    [Fact]
    public void Every_file_is_in_one_volume_whole_and_in_no_other()
    {
        var random = NewRandom();
        var files = Files(Enumerable.Range(0, 3000).Select(_ => random.Next(4) == 0 ? random.NextInt64(40 * MiB) : random.NextInt64(64 * 1024)));

        var plan = VolumePlan.Make(files, jobs: 3);

        Assert.Equal(files.OrderBy(static f => f.Path, StringComparer.Ordinal), plan.SelectMany(static v => v).OrderBy(static f => f.Path, StringComparer.Ordinal));
        Assert.DoesNotContain(plan, static v => v.Count == 0);
    }

    // Of a cluster of 64 GiB and two jobs a volume closes after 256 MiB; of a small one after 16 MiB; in between the jobs have four each.
    [Theory]
    [InlineData(64 * 1024, 2, 256)]
    [InlineData(100, 2, 16)]
    [InlineData(800, 2, 100)]
    [InlineData(800, 4, 50)]
    public void A_volume_closes_before_it_is_larger_than_its_limit(long megabytes, int jobs, long limit)
    {
        var plan = VolumePlan.Make(Files(Enumerable.Repeat(MiB, (int)megabytes)), jobs);

        Assert.All(plan, v => Assert.InRange(v.Count, 1, limit));
        // All but the last are full.
        Assert.Equal((megabytes + limit - 1) / limit, plan.Count);
    }

    [Fact]
    public void A_file_as_large_as_the_limit_is_alone_and_small_ones_are_together_in_their_order()
    {
        var plan = VolumePlan.Make(Files([1, 20 * MiB, 2, 16 * MiB, 3, 0]), jobs: 2);

        Assert.Equal([["1"], ["3"], ["0", "2", "4", "5"]], plan.Select(static v => v.Select(static f => f.Path)));
    }

    [Fact]
    public void The_longest_volume_is_the_first_so_that_the_workers_end_together()
    {
        var plan = VolumePlan.Make(Files([5 * MiB, 700 * MiB, 15 * MiB, 300 * MiB, 15 * MiB, 900 * MiB]), jobs: 2);

        var sizes = plan.Select(static v => v.Sum(static f => f.Size)).ToList();
        Assert.Equal(sizes.OrderDescending(), sizes);
        Assert.Equal(900 * MiB, sizes[0]);
    }

    [Fact]
    public void Without_files_there_are_no_volumes() => Assert.Empty(VolumePlan.Make([], jobs: 2));

    [Fact]
    public void Names_sort_as_their_numbers() =>
        Assert.Equal(["volume-0000.tar", "volume-0012.tar", "volume-9999.tar"], new[] { 0, 12, 9999 }.Select(VolumePlan.NameOf));

    private static List<DataFile> Files(IEnumerable<long> sizes) =>
        sizes.Select(static (size, number) => new DataFile($"{number}", $"/data/{number}", size, default, default, null)).ToList();
}
