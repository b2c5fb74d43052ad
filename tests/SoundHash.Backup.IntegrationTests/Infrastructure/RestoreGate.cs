namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>
/// Stops a real restore in its middle, or makes it fail there: functions that a table's CHECK calls for each row look
/// for a role, which is visible from every database of the cluster. The role is made after the backup.
/// </summary>
public sealed class RestoreGate
{
    private readonly string _role = $"gate_{Guid.NewGuid().ToString("n")[..10]}";

    /// <summary>SQL that makes <c>public.gate()</c>, which waits while the gate is closed.</summary>
    public string WaitingFunction =>
        $$"""
        CREATE FUNCTION public.gate() RETURNS boolean LANGUAGE plpgsql AS $fn$ BEGIN
          WHILE EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{{_role}}') LOOP PERFORM pg_catalog.pg_sleep(0.02); END LOOP;
          RETURN true;
        END $fn$;
        """;

    /// <summary>SQL that makes <c>public.gate()</c>, which fails while the gate is closed.</summary>
    public string FailingFunction =>
        $$"""
        CREATE FUNCTION public.gate() RETURNS boolean LANGUAGE plpgsql AS $fn$ BEGIN
          IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{{_role}}') THEN RAISE EXCEPTION 'the gate is closed'; END IF;
          RETURN true;
        END $fn$;
        """;

    /// <summary>
    /// SQL that makes a table before, one at and one behind the gate, in the order in which pg_dump takes them. What is
    /// behind is more than all pipes hold, so that the end of the archive is not on its way while the gate is closed.
    /// </summary>
    public static string Tables =>
        """
        CREATE TABLE public.a_before (id int);
        INSERT INTO public.a_before SELECT generate_series(1, 1000);
        CREATE TABLE public.z_gated (id int CHECK (public.gate()));
        INSERT INTO public.z_gated VALUES (1), (2), (3);
        CREATE TABLE public.zz_behind (note text);
        INSERT INTO public.zz_behind SELECT repeat(md5(g::text), 30) FROM generate_series(1, 8000) g;
        """;

    public Task CloseAsync(PostgresCluster cluster) => cluster.ExecuteAsync("postgres", $"CREATE ROLE {_role}");

    public Task OpenAsync(PostgresCluster cluster) => cluster.ExecuteAsync("postgres", $"DROP ROLE {_role}");

    /// <summary>Waits until a session of a database waits at the gate.</summary>
    public static Task ReachedAsync(PostgresCluster cluster, string database) => Eventually.TrueAsync(
        async () => await cluster.TextAsync(
            "postgres",
            $"SELECT 'yes' FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'") == "yes",
        $"a session of {database} waits at the gate");
}
