using SoundHash.Backup.IntegrationTests.Infrastructure;

// One cluster for all tests that only need a server: each makes databases of its own in it.
[assembly: AssemblyFixture(typeof(PostgresCluster))]
