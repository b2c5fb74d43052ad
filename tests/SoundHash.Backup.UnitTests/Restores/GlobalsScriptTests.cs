using SoundHash.Backup.Errors;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.UnitTests.Restores;

/// <summary>
/// What of pg_dumpall's script a server gets. Any role may write line breaks into its own settings, and whoever may comment
/// into comments: a line of them is no statement, whatever it looks like.
/// </summary>
public sealed class GlobalsScriptTests
{
    private const string Escape =
        """
        ALTER ROLE mallory SET search_path TO 'a
        ALTER USER mallory SUPERUSER;
        --';

        """;

    [Fact]
    public void A_statement_within_a_setting_of_a_role_that_exists_never_gets_out()
    {
        var (script, leftAlone) = For(Escape, "mallory");

        Assert.Equal(string.Empty, script.Trim());
        Assert.Equal(["mallory"], leftAlone);
    }

    [Theory]
    [InlineData("'one\nALTER ROLE alice NOLOGIN;\nthree'")]
    [InlineData("'one\nGRANT alice TO bob;\nthree'")]
    [InlineData("'one\n\n-- two\n\\! touch /tmp/x\n; COMMENT ON ROLE alice IS ''x'';\n'")]
    [InlineData("E'back\\\\slash\\'\nALTER ROLE alice NOLOGIN;\n'")]
    [InlineData("'it''s\nCREATE ROLE alice;\n'")]
    [InlineData("'\"\nCREATE ROLE alice;\n\"'")]
    public void A_comment_of_several_lines_arrives_whole_or_not_at_all(string literal)
    {
        var statement = $"COMMENT ON ROLE carol IS {literal};";

        Assert.Equal($"{statement}\nCREATE ROLE dave;\n", For($"{statement}\nCREATE ROLE dave;\n", "alice", "bob").Script);
        Assert.Equal("CREATE ROLE dave;", For($"{statement}\nCREATE ROLE dave;\n", "alice", "bob", "carol").Script.Trim());
    }

    [Theory]
    [InlineData("CREATE ROLE alice;", false)]
    [InlineData("ALTER ROLE alice WITH SUPERUSER PASSWORD 'x';", false)]
    [InlineData("ALTER ROLE alice SET work_mem TO '5MB';", false)]
    [InlineData("COMMENT ON ROLE alice IS 'ON ROLE carol';", false)]
    [InlineData("SECURITY LABEL FOR \"pro vider\" ON ROLE alice IS 'ON ROLE carol';", false)]
    [InlineData("SECURITY LABEL FOR provider ON ROLE carol IS 'ON ROLE alice';", true)]
    [InlineData("CREATE ROLE \"alice\";", false)]
    [InlineData("CREATE ROLE \"ali\"\"ce; CREATE ROLE alice\";", true)]
    [InlineData("CREATE ROLE \"car\nol\nALTER ROLE alice NOLOGIN;\n\";", true)]
    [InlineData("GRANT alice TO bob WITH ADMIN OPTION GRANTED BY postgres;", false)]
    [InlineData("GRANT alice TO carol GRANTED BY postgres;", true)]
    [InlineData("GRANT \"x ON ROLE alice\" TO carol;", true)]
    [InlineData("CREATE TABLESPACE fast OWNER alice LOCATION '/fast';", false)]
    [InlineData("GRANT ALL ON TABLESPACE fast TO carol WITH GRANT OPTION;", false)]
    [InlineData("CREATE TABLESPACE \"Slow\" OWNER alice LOCATION '/slow';", true)]
    [InlineData("GRANT SET, ALTER SYSTEM ON PARAMETER \"x ON ROLE alice\" TO carol;", true)]
    [InlineData("SET client_encoding = 'UTF8';", true)]
    public void Statements_about_what_exists_are_left_out(string statement, bool stays)
    {
        var text = $"\\restrict token\n\n--\n-- Roles\n--\n\n{statement}\n\n\\unrestrict token\n";

        Assert.Equal(stays ? text : text.Replace(statement, string.Empty, StringComparison.Ordinal), For(text, "alice", "bob").Script);
    }

    [Fact]
    public void Lines_keep_their_numbers_so_that_an_error_of_psql_can_be_found()
    {
        var text = $"CREATE ROLE a;\n{Escape}CREATE ROLE z;\n";

        var lines = For(text, "mallory").Script.Split('\n');

        Assert.Equal(text.Split('\n').Length, lines.Length);
        Assert.Equal("CREATE ROLE z;", lines[4]);
    }

    [Theory]
    [InlineData("COMMENT ON ROLE carol IS 'cut")]
    [InlineData("COMMENT ON ROLE carol IS E'cut\\'")]
    [InlineData("CREATE ROLE \"cut")]
    [InlineData("CREATE ROLE cut\n")]
    [InlineData("COMMENT ON ROLE carol IS $$\nALTER ROLE alice;\n$$;")]
    [InlineData("CREATE ROLE carol /* ; ' */;")]
    [InlineData("CREATE ROLE carol \\gexec\n;")]
    public void What_is_no_script_of_pg_dumpall_is_refused(string script)
    {
        var refused = Assert.Throws<BackupException>(() => For(script));

        Assert.Equal(ErrorKind.Verification, refused.Kind);
        Assert.DoesNotContain("carol", refused.Message, StringComparison.Ordinal);
    }

    private static (string Script, IReadOnlyList<string> LeftAlone) For(string globals, params string[] roles) =>
        GlobalsScript.For(globals, roles.ToHashSet(), new HashSet<string> { "fast" }, noTablespaces: false);
}
