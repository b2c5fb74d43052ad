using SoundHash.Backup.Repository;

namespace SoundHash.Backup.UnitTests.Repository;

/// <summary>Looking for tables in what pg_restore --list prints; names may hold nearly anything.</summary>
public sealed class ArchivedTablesTests
{
    [Fact]
    public void A_table_with_a_line_of_its_own_is_found_and_one_without_is_missing()
    {
        Assert.Equal(["b"], Missing([Table("a"), Table("b")], Line("public a postgres")));
    }

    [Theory]
    [InlineData("3401; 0 16399 TABLE public a postgres")]
    [InlineData("3401; 0 16399 SEQUENCE SET public a postgres")]
    [InlineData("3401; 0 16399 COMMENT public TABLE DATA public a postgres")]
    [InlineData(";     dbname: TABLE DATA public a postgres")]
    [InlineData("; 1; 0 16399 is no entry: TABLE DATA public a postgres")]
    [InlineData("3401; 0 16399 TABLE DATA public a2 postgres")]
    [InlineData("3401; 0 16399 TABLE DATA public2 a postgres")]
    [InlineData("3401; 0 16399 TABLE DATA other public a postgres")]
    [InlineData("3401; 0 16399 TABLE DATA public a")]
    [InlineData("")]
    public void A_line_that_is_none_of_its_rows_does_not_stand_for_a_table(string line)
    {
        Assert.Equal(["a"], Missing([Table("a")], line));
    }

    [Fact]
    public void Names_with_spaces_and_line_ends_are_found()
    {
        Assert.Empty(Missing(
            [Table("a b"), Table("line\nend"), Table("cr\r\nlf"), Table("c d", "my schema"), Table(" "), Table("größe")],
            Line("public a b the owner"),
            Line("public line end o"),
            Line("public cr  lf o"),
            Line("my schema c d o"),
            Line("public   o"),
            Line("public größe o")));
    }

    // "public a b owner" may be "a" of the owner "b owner", and is not.
    [Theory]
    [InlineData("public a b owner")]
    [InlineData("public a b the owner")]
    public void The_rows_of_a_table_are_not_taken_for_those_of_one_whose_name_is_the_beginning_of_its_name(string line)
    {
        Assert.Equal(["a"], Missing([Table("a"), Table("a b")], Line(line)));
        Assert.Equal(["a"], Missing([Table("a"), Table("a b") with { OfExtension = true }], Line(line)));
        Assert.Empty(Missing([Table("a"), Table("a b")], Line(line), Line("public a owner")));
    }

    [Fact]
    public void An_owner_whose_name_reads_like_the_end_of_a_table_s_name_hides_no_table()
    {
        // Table "a" of the owner "b c", and table "a b" of the owner "c".
        Assert.Empty(Missing([Table("a"), Table("a b")], Line("public a b c"), Line("public a b c")));
        Assert.Equal(["a"], Missing([Table("a"), Table("a b")], Line("public a b c")));
    }

    [Fact]
    public void Two_tables_that_look_alike_need_two_lines()
    {
        TableRecord[] tables = [Table("c", "a b"), Table("b c", "a")];

        Assert.Empty(Missing(tables, Line("a b c o"), Line("a b c o")));
        Assert.Equal(2, Missing(tables, Line("a b c o")).Count);
    }

    [Fact]
    public void Names_that_the_listing_shows_in_another_encoding_are_not_looked_for()
    {
        Assert.Equal(["a"], MissingIn("LATIN1", [Table("größe"), Table("a")], Line("public gr\uFFFD\uFFFDe o")));
    }

    [Fact]
    public void Hundreds_of_thousands_of_tables_are_looked_up_at_once()
    {
        var tables = Enumerable.Range(0, 300_000).Select(static n => Table($"table {n}")).ToList();

        Assert.Equal(["table 299999"], Missing(tables, [.. tables.SkipLast(1).Select(static t => Line($"public {t.Name} postgres"))]));
    }

    private static string Line(string names) => $"3401; 0 16399 TABLE DATA {names}";

    private static TableRecord Table(string name, string schema = "public") => TestContents.Table(name, rows: 1) with { Schema = schema };

    private static List<string> Missing(IReadOnlyList<TableRecord> tables, params string[] lines) => MissingIn("UTF8", tables, lines);

    private static List<string> MissingIn(string encoding, IReadOnlyList<TableRecord> tables, params string[] lines)
    {
        var archived = new ArchivedTables(new Contents
        {
            Database = TestContents.Properties() with { Encoding = encoding },
            Tables = tables,
            Roles = [],
            Extensions = [],
            RolePasswords = true,
        });
        Array.ForEach(lines, archived.See);
        return archived.Missing().Select(static t => t.Name).ToList();
    }
}
