using System.Text;
using SoundHash.Backup.Errors;
using SoundHash.Backup.Restores;

namespace SoundHash.Backup.UnitTests.Restores;

/// <summary>psql's own commands in a bare script, which psql would run as the user that restores.</summary>
public sealed class PsqlCommandTests
{
    private const string Rows = "COPY public.t (id, note) FROM stdin;\n1\t\\N\n\\\\! 2\tx\n\\! rm\n'\n\\.\n\n";

    [Theory]
    [InlineData("\\! touch /root/x\n")]
    [InlineData("  \\! touch /root/x\n")]
    [InlineData("\\i other.sql\n")]
    [InlineData("\\o out.txt\n")]
    [InlineData("\\copy t from program 'id'\n")]
    [InlineData("\\set x y\n")]
    [InlineData("\\r\n")]
    [InlineData("\\connect other\n")]
    [InlineData("SELECT 1 \\g |cat\n")]
    [InlineData("SELECT 1; \\! id\n")]
    [InlineData("-- comment\r\\! id\n")]
    [InlineData("/* a /* b */ c */ \\! id\n")]
    [InlineData("SELECT 'a\\'; \\! id\n")]
    [InlineData("SELECT E'a\\\\'; \\! id\n")]
    [InlineData("SELECT $a$ $b$ $a$; \\! id\n")]
    [InlineData("SELECT $1; \\! id\n")]
    [InlineData("SELECT a$b$c; \\! id\n")]
    [InlineData("\\restrict `id`\n")]
    [InlineData("\\restrict abc \\! id\n")]
    [InlineData(Rows + "\\! id\n")]
    [InlineData("COPY t FROM stdin; \\! id\n1\n\\.\n")]
    [InlineData("COPY t FROM stdin; SELECT '\n1\n\\.\n'; \\! id\n")]
    [InlineData("COPY (SELECT 1 FROM stdin) TO stdout;\n\\! id\n")]
    [InlineData("COPY t TO stdout;\n\\! id\n")]
    [InlineData("COPY t FROM '/x/stdin';\n\\! id\n")]
    [InlineData("INSERT INTO copy SELECT 1 FROM stdin;\n\\! id\n")]
    [InlineData("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC\nCOPY t FROM stdin;\n\\! id\n")]
    [InlineData("SELECT E'a'\n'\\'; \\! id\n")]
    [InlineData("SET standard_conforming_strings = off;\nSELECT '\\''; \\! id\n")]
    public Task A_command_of_psql_is_refused_wherever_psql_would_run_it(string script) => ThroughAsync(script, RefusedAsync);

    [Theory]
    [InlineData("\\restrict x8Kd0\nSET a = 1;\n" + Rows + "\\unrestrict x8Kd0\n")]
    [InlineData("\\restrict x8Kd0\r\nSELECT 1;\r\n\\unrestrict x8Kd0\r\n")]
    [InlineData("COPY t FROM stdin;\r\n1\r\n\\! id\r\n\\.\r\nSELECT 1;\r\n")]
    [InlineData("copy \"FROM\" from StdIn with (format csv);\n\\! id\n\\.\n")]
    [InlineData("COPY t FROM stdin; COPY u FROM stdin;\n\\! id\n\\.\n\\! id\n\\.\nSELECT 1;\n")]
    [InlineData("COMMENT ON TABLE t IS 'a\n\\! id\n''\n\\i x\n';\n")]
    [InlineData("COMMENT ON TABLE t IS E'a\\'\n\\! id\n''\n\\i x\n';\n")]
    [InlineData("CREATE TABLE \"a\n\\! id\" (i int);\n")]
    [InlineData("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$\nBEGIN\n\\! id $ $x$ $_ $_a$\nEND\n$_$;\n" + Rows)]
    [InlineData("DO $$\n\\! id\n$$;\n")]
    [InlineData("-- \\! id\n/* \\! id\n/* */ \\! */ SELECT 1;\n")]
    [InlineData("CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC\nSELECT CASE WHEN true THEN 1 END;\nEND;\n" + Rows)]
    [InlineData("SELECT 'C:\\';\nSELECT 'x\\n';\n" + Rows)]
    [InlineData("SET standard_conforming_strings = off;\nSELECT '\\';\n\\! id';\n")]
    public Task What_pg_dump_writes_is_none_also_where_it_looks_like_one(string script) => ThroughAsync(script, ReadAsync);

    [Fact]
    public async Task The_refusal_names_the_command_and_is_given_before_it_is_passed_on()
    {
        await using var stage = new ScriptEndStage(new MemoryStream(Encoding.UTF8.GetBytes("SELECT 1;\n\\! id\n")), "x.sql");
        var buffer = new byte[100];

        var e = await Assert.ThrowsAsync<BackupException>(() => stage.ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask());

        Assert.Equal(ErrorKind.Usage, e.Kind);
        Assert.StartsWith("x.sql has psql's own command \\!: ", e.Message, StringComparison.Ordinal);
        Assert.Contains("psql --file", e.Hint, StringComparison.Ordinal);
    }

    // Where a read ends must not matter.
    private static async Task ThroughAsync(string script, Func<string, int, Task> read)
    {
        foreach (var chunk in (int[])[1, 2, 3, 7, 4096])
        {
            await read(script, chunk);
        }
    }

    private static Task RefusedAsync(string script, int chunk) => Assert.ThrowsAsync<BackupException>(() => ReadAsync(script, chunk));

    private static async Task ReadAsync(string script, int chunk)
    {
        await using var stage = new ScriptEndStage(new MemoryStream(Encoding.UTF8.GetBytes(script)), "x.sql");
        var buffer = new byte[chunk];
        while (await stage.ReadAsync(buffer, TestContext.Current.CancellationToken) > 0)
        {
        }
    }
}
