using System.Globalization;
using System.Text;

namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>Takes requests apart: heads, and bodies with a length or in chunks.</summary>
internal sealed class HttpReader(Stream stream, CancellationToken end)
{
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _stop;

    /// <summary>The next head without its empty line, or null when the client has gone.</summary>
    public async Task<string?> HeadAsync()
    {
        while (true)
        {
            var length = _buffer.AsSpan(_start.._stop).IndexOf("\r\n\r\n"u8);
            if (length >= 0)
            {
                var head = Encoding.ASCII.GetString(_buffer, _start, length);
                _start += length + 4;
                return head;
            }

            if (!await FillAsync())
            {
                return null;
            }
        }
    }

    /// <summary>The body that belongs to a head.</summary>
    /// <param name="head">The request.</param>
    /// <param name="most">No more than so many bytes are read; null for all.</param>
    /// <param name="pause">Waited after every 64 KiB.</param>
    public async Task<ReadOnlyMemory<byte>> BodyAsync(ScriptedRequest head, long? most, TimeSpan pause)
    {
        if (head.Header("Transfer-Encoding") is "chunked")
        {
            return await ChunksAsync(most ?? long.MaxValue, pause);
        }

        var length = long.Parse(head.Header("Content-Length") ?? "0", CultureInfo.InvariantCulture);
        var body = GC.AllocateUninitializedArray<byte>((int)Math.Min(length, most ?? long.MaxValue));
        await ExactlyAsync(body, pause);
        return body;
    }

    private async Task<ReadOnlyMemory<byte>> ChunksAsync(long most, TimeSpan pause)
    {
        using var body = new MemoryStream();
        while (body.Length < most)
        {
            var size = int.Parse((await LineAsync()).Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            var chunk = new byte[size];
            await ExactlyAsync(chunk, pause);
            await LineAsync();
            if (size == 0)
            {
                return body.ToArray();
            }

            body.Write(chunk);
        }

        return body.ToArray().AsMemory(0, (int)most);
    }

    private async Task ExactlyAsync(Memory<byte> target, TimeSpan pause)
    {
        var untilPause = _buffer.Length;
        while (!target.IsEmpty)
        {
            if (_start == _stop && pause == TimeSpan.Zero && target.Length >= _buffer.Length)
            {
                // Without a second copy.
                var read = await stream.ReadAsync(target, end);
                target = target[(read > 0 ? read : throw new EndOfStreamException("the client went within a body"))..];
                continue;
            }

            if (_start == _stop && !await FillAsync())
            {
                throw new EndOfStreamException("the client went within a body");
            }

            var taken = Math.Min(target.Length, _stop - _start);
            _buffer.AsSpan(_start, taken).CopyTo(target.Span);
            _start += taken;
            target = target[taken..];
            if (pause > TimeSpan.Zero && (untilPause -= taken) <= 0)
            {
                untilPause = _buffer.Length;
                await Task.Delay(pause, end);
            }
        }
    }

    private async Task<string> LineAsync()
    {
        while (true)
        {
            var length = _buffer.AsSpan(_start.._stop).IndexOf("\r\n"u8);
            if (length >= 0)
            {
                var line = Encoding.ASCII.GetString(_buffer, _start, length);
                _start += length + 2;
                return line;
            }

            if (!await FillAsync())
            {
                throw new EndOfStreamException("the client went within a line");
            }
        }
    }

    private async Task<bool> FillAsync()
    {
        _buffer.AsSpan(_start.._stop).CopyTo(_buffer);
        _stop -= _start;
        _start = 0;
        var read = await stream.ReadAsync(_buffer.AsMemory(_stop), end);
        _stop += read;
        return read > 0;
    }
}
