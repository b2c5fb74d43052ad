using System.Diagnostics;

namespace SoundHash.Backup.IntegrationTests.Infrastructure;

/// <summary>Where a <see cref="DumpGate"/> stops pg_dump.</summary>
public enum Moment
{
    /// <summary>Before it connects: the snapshot is taken and nothing is dumped.</summary>
    BeforeDump,

    /// <summary>When part of its output has been read.</summary>
    InTheMiddle,

    /// <summary>When all of its output has been written and it has not ended.</summary>
    AfterDump,
}

/// <summary>
/// A PG_BIN_DIR whose pg_dump stops at a moment until the test lets it go on, so that a test meddles with a backup
/// exactly there.
/// </summary>
internal sealed class DumpGate : IDisposable
{
    private static readonly string Real = PostgresPrograms.Directory;
    private readonly TempFolder _folder = new("gate");

    public DumpGate(Workspace work, Moment moment)
    {
        var body = moment switch
        {
            Moment.BeforeDump => "stop; exec $real \"$@\"",
            Moment.InTheMiddle => "$real \"$@\" | { head -c 100000; stop; cat; }",
            _ => "$real \"$@\"; stop",
        };
        var script = $$"""
            #!/bin/bash
            set -eo pipefail
            real={{Real}}/pg_dump
            stop() { touch '{{_folder["reached"]}}'; until [ -e '{{_folder["open"]}}' ] || [ ! -e "$0" ]; do sleep 0.02; done; }
            [ "$1" != --version ] || exec $real --version
            {{body}}
            """;
        File.WriteAllText(_folder["pg_dump"], script);
        File.SetUnixFileMode(
            _folder["pg_dump"],
            UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        foreach (var tool in new[] { "pg_dumpall", "pg_restore", "psql", "vacuumdb" })
        {
            File.CreateSymbolicLink(_folder[tool], $"{Real}/{tool}");
        }

        work.Set("PG_BIN_DIR", _folder.Path);
    }

    /// <summary>Waits until pg_dump stands at the gate.</summary>
    public Task ReachedAsync(Process backup) => Eventually.TrueAsync(
        () => !backup.HasExited ? File.Exists(_folder["reached"]) : throw new InvalidOperationException(
            $"shbackup ended before the gate: {backup.StandardError.ReadToEnd()}"),
        "pg_dump at the gate");

    /// <summary>Lets it go on, now and from now on.</summary>
    public void Open() => File.WriteAllText(_folder["open"], string.Empty);

    public void Dispose()
    {
        Open();
        _folder.Dispose();
    }
}
