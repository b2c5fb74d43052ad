using System.Formats.Tar;
using SoundHash.Backup.Pipelines;
using SoundHash.Backup.Repository;

namespace SoundHash.Backup.Backups.Physical;

/// <summary>Packs the files of a stream into volumes, in the order in which they come.</summary>
/// <param name="set">Where to.</param>
/// <param name="pages">How to judge pages, or null.</param>
/// <param name="meter">Counts.</param>
internal sealed class StreamedVolumes(SetWriter set, PageRules? pages, TransferMeter meter) : IAsyncDisposable
{
    private readonly List<StoredVolume> _done = [];
    private List<StoredFile> _files = [];
    private List<WrongPage> _suspects = [];
    private SealedObject? _target;
    private TarWriter? _tar;
    private long _bytes;

    /// <summary>The volumes that are complete. Their wrong pages are suspects only: they can't be read again.</summary>
    public IReadOnlyList<StoredVolume> Done => _done;

    /// <summary>Adds the entry that a reader stands at.</summary>
    public async Task AddAsync(string path, TarEntry entry, CancellationToken cancel)
    {
        if (_bytes > 0 && _bytes + entry.Length > VolumePlan.MostBytes)
        {
            await CloseAsync(cancel);
        }

        _target ??= await set.CreateAsync(VolumePlan.NameOf(_done.Count), ObjectRole.Volume, cancel);
        _tar ??= new TarWriter(_target, TarEntryFormat.Pax, leaveOpen: true);
        var check = pages is not null && RelationOf(path) is { } relation ? new PageCheck(pages, relation, path) : null;
        var source = entry.DataStream ?? Stream.Null;
        await using var content = new EntryContent(
            (buffer, _, token) => source.ReadAsync(buffer, token), entry.Length, check, meter);
        await _tar.WriteEntryAsync(VolumeWriter.EntryOf(path, entry.Mode, entry.ModificationTime, content), cancel);
        _suspects.AddRange(check?.Suspects() ?? []);
        _files.Add(new StoredFile(path, entry.Length, entry.ModificationTime, content.Crc, content.XxHash, string.Empty));
        _bytes += entry.Length;
    }

    /// <summary>Completes the volume that is open.</summary>
    public async Task CloseAsync(CancellationToken cancel)
    {
        if (_target is null || _tar is null)
        {
            return;
        }

        await _tar.DisposeAsync();
        await _target.CompleteAsync(cancel);
        var key = _target.Record.Key;
        _done.Add(new StoredVolume(_target.Record, _files.ConvertAll(f => f with { Object = key }), _suspects));
        await _target.DisposeAsync();
        (_target, _tar, _files, _suspects, _bytes) = (null, null, [], [], 0);
    }

    // An archive without its end: what was not completed never counts.
    public async ValueTask DisposeAsync()
    {
        if (_target is not null)
        {
            await _target.DisposeAsync();
        }
    }

    private static RelationFile? RelationOf(string path) => path.Split('/') switch
    {
        ["global", var name] => RelationFile.TryParse(name),
        ["base", _, var name] => RelationFile.TryParse(name),
        _ => null,
    };
}
