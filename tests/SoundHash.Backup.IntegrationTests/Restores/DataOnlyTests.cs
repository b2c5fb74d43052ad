using SoundHash.Backup.IntegrationTests.Infrastructure;

namespace SoundHash.Backup.IntegrationTests.Restores;

/// <summary>Rows into tables that are there: what stands on the tables neither changes the rows nor is changed by them.</summary>
public sealed class DataOnlyTests(PostgresCluster cluster)
{
    // Named so that rows come before those that they point to; two point to each other.
    private const string Tables =
        """
        CREATE TABLE a_child (id int PRIMARY KEY, parent int, note text);
        CREATE TABLE z_parent (id int PRIMARY KEY, favourite int);
        """;

    private const string Keys =
        """
        ALTER TABLE a_child ADD CONSTRAINT "to parent" FOREIGN KEY (parent) REFERENCES z_parent ON DELETE CASCADE;
        ALTER TABLE z_parent ADD CONSTRAINT to_child FOREIGN KEY (favourite) REFERENCES a_child DEFERRABLE INITIALLY DEFERRED;
        COMMENT ON CONSTRAINT "to parent" ON a_child IS 'every child has one';
        CREATE TABLE parted (id int REFERENCES z_parent, kind text) PARTITION BY LIST (kind);
        CREATE TABLE part_x PARTITION OF parted FOR VALUES IN ('x');
        """;

    private const string Triggers =
        """
        CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''spoiled''; RETURN NEW; END';
        CREATE FUNCTION notice() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.noticed VALUES (TG_NAME); RETURN NULL; END';
        CREATE TABLE noticed (what text);
        CREATE TRIGGER "spoil it" BEFORE INSERT ON a_child FOR EACH ROW EXECUTE FUNCTION spoil();
        CREATE TRIGGER always BEFORE INSERT ON a_child FOR EACH ROW EXECUTE FUNCTION spoil();
        ALTER TABLE a_child ENABLE ALWAYS TRIGGER always;
        CREATE TRIGGER disabled BEFORE INSERT ON a_child FOR EACH ROW EXECUTE FUNCTION spoil();
        ALTER TABLE a_child DISABLE TRIGGER disabled;
        CREATE TRIGGER replica BEFORE INSERT ON a_child FOR EACH ROW EXECUTE FUNCTION spoil();
        ALTER TABLE a_child ENABLE REPLICA TRIGGER replica;
        CREATE CONSTRAINT TRIGGER later AFTER INSERT ON a_child DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION notice();
        CREATE TRIGGER on_root AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION notice();
        """;

    private const string Rows =
        """
        INSERT INTO a_child SELECT g, 1 + g % 10, 'note ' || g FROM generate_series(1, 500) g;
        INSERT INTO z_parent SELECT g, g FROM generate_series(1, 10) g;
        """;

    private const string States =
        """
        SELECT (SELECT string_agg(
            concat_ws(' ', tgrelid::regclass, tgname, tgenabled),
            ', ' ORDER BY tgrelid,
            tgname) FROM pg_trigger WHERE NOT tgisinternal)
          || (SELECT string_agg(
              concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated, obj_description(oid, 'pg_constraint')),
              ', ' ORDER BY conrelid::regclass::text,
              conname)
              FROM pg_constraint WHERE contype = 'f')
        """;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task No_trigger_fires_and_triggers_and_keys_are_afterwards_as_before(bool superuser)
    {
        using var work = await BackupAsync();
        var target = await cluster.CreateDatabaseAsync(Tables + Keys + Triggers);
        if (!superuser)
        {
            await OwnAsync(work, target);
        }

        var before = await cluster.TextAsync(target, States);

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--data-only")).Expect(0);

        Assert.Equal("500", await cluster.TextAsync(target, "SELECT count(*) FROM a_child WHERE note = 'note ' || id"));
        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM noticed"));
        Assert.Equal("3", await cluster.TextAsync(target, "SELECT count(*) FROM parted"));
        Assert.Equal(before, await cluster.TextAsync(target, States));
        Assert.Contains("disabled D", before, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_that_a_foreign_key_does_not_allow_are_refused_as_a_whole()
    {
        using var work = await BackupAsync();
        var target = await cluster.CreateDatabaseAsync(Tables + Keys + Triggers);
        var before = await cluster.TextAsync(target, States);

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--data-only", "--table", "a_child"))
            .Expect(5).Says("violates foreign key constraint").Says("to parent");

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM a_child"));
        Assert.Equal(before, await cluster.TextAsync(target, States));
    }

    [Fact]
    public async Task A_foreign_key_with_disabled_triggers_is_refused_before_anything_is_changed()
    {
        using var work = await BackupAsync();
        var target = await cluster.CreateDatabaseAsync(Tables + Keys + "ALTER TABLE a_child DISABLE TRIGGER ALL");

        (await work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            target,
            "--data-only")).Expect(1).Says("nothing was changed").Says("disabled triggers");

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM z_parent"));
    }

    [Fact]
    public async Task A_role_that_does_not_own_the_tables_is_refused_and_changes_nothing()
    {
        using var work = await BackupAsync();
        var target = await cluster.CreateDatabaseAsync(Tables + Keys);
        var role = RestoreHelp.NewName("writer");
        await cluster.ExecuteAsync(target, $"CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}");
        work.Set("DATABASE_USER", role);

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--data-only")).Expect(5).Says("must be owner");

        Assert.Equal("0", await cluster.TextAsync(target, "SELECT count(*) FROM z_parent"));
    }

    [Theory]
    [InlineData("ALTER TABLE a_child ADD CONSTRAINT loose FOREIGN KEY (parent) REFERENCES z_parent NOT VALID", "is NOT VALID")]
    [InlineData("ALTER TABLE part_x DISABLE TRIGGER ALL", "disabled triggers")]
    [InlineData("COMMENT ON CONSTRAINT parted_id_fkey ON part_x IS 'mine'", "of their own")]
    public async Task A_foreign_key_that_could_not_be_made_again_as_it_was_is_refused(string sql, string message)
    {
        using var work = await BackupAsync();
        var target = await cluster.CreateDatabaseAsync(Tables + Keys + sql);

        (await work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            target,
            "--data-only")).Expect(1).Says(message).Says("nothing was changed");
    }

    // setval is no part of a transaction by itself.
    [Fact]
    public async Task A_load_that_is_rolled_back_leaves_sequences_where_they_were()
    {
        var source = await cluster.CreateDatabaseAsync(
            "CREATE TABLE t (id serial, x int); INSERT INTO t (x) SELECT g FROM generate_series(1, 100) g");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();
        var target = await cluster.CreateDatabaseAsync(
            "CREATE TABLE t (id serial, x int CHECK (x < 100)); SELECT setval('t_id_seq', 5000)");

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--data-only")).Expect(5).Says("violates check constraint");
        Assert.Equal("5001", await cluster.TextAsync(target, "SELECT nextval('t_id_seq')"));

        await cluster.ExecuteAsync(target, "ALTER TABLE t DROP CONSTRAINT t_x_check");
        (await work.RunAsync("restore", "--latest", "--target-db", target, "--data-only")).Expect(0);
        Assert.Equal("101", await cluster.TextAsync(target, "SELECT nextval('t_id_seq')"));
    }

    [Fact]
    public async Task A_table_that_is_named_twice_is_filled_once()
    {
        using var work = await BackupAsync();
        var target = await cluster.CreateDatabaseAsync(Tables);

        (await work.RunAsync(
            "restore",
            "--latest",
            "--target-db",
            target,
            "--data-only",
            "--table",
            "a_child",
            "--table",
            "public.a_child")).Expect(0);

        Assert.Equal("500", await cluster.TextAsync(target, "SELECT count(*) FROM a_child"));
    }

    [Fact]
    public async Task Names_and_comments_beyond_ASCII_hold_in_a_database_of_another_encoding()
    {
        const string Sql =
            """
            CREATE TABLE "größe" (id int PRIMARY KEY, up int);
            ALTER TABLE "größe" ADD CONSTRAINT "schlüssel" FOREIGN KEY (up) REFERENCES "größe";
            COMMENT ON CONSTRAINT "schlüssel" ON "größe" IS 'für später';
            """;
        var (source, target) = (RestoreHelp.NewName("latin"), RestoreHelp.NewName("latin"));
        foreach (var name in new[] { source, target })
        {
            await cluster.ExecuteAsync("postgres", $"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
            await cluster.ExecuteAsync(name, Sql);
        }

        await cluster.ExecuteAsync(source, "INSERT INTO \"größe\" VALUES (2, 1), (1, 1)");
        using var work = new Workspace(cluster, source);
        await work.BackupAsync();

        (await work.RunAsync("restore", "--latest", "--target-db", target, "--data-only")).Expect(0);

        Assert.Equal("2", await cluster.TextAsync(target, "SELECT count(*) FROM \"größe\""));
        Assert.Equal(
            "schlüssel für später",
            await cluster.TextAsync(
                target,
                "SELECT conname || ' ' || obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE contype = 'f'"));
    }

    private async Task<Workspace> BackupAsync()
    {
        var source = await cluster.CreateDatabaseAsync(Tables + Rows + Keys + "INSERT INTO parted VALUES (1, 'x'), (2, 'x'), (3, 'x')");
        var work = new Workspace(cluster, source);
        await work.BackupAsync("--fingerprint");
        return work;
    }

    private async Task OwnAsync(Workspace work, string target)
    {
        var role = RestoreHelp.NewName("owner");
        await cluster.ExecuteAsync(
            target,
            $"""
            CREATE ROLE {role} LOGIN;
            DO $$ DECLARE t regclass; BEGIN
              FOR t IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace LOOP EXECUTE format(
                  'ALTER TABLE %s OWNER TO {role}',
                  t); END LOOP;
            END $$;
            """);
        work.Set("DATABASE_USER", role);
    }
}
