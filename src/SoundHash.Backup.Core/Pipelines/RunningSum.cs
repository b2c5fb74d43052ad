using System.IO.Hashing;
using System.Security.Cryptography;

namespace SoundHash.Backup.Pipelines;

/// <summary>A hash in the making.</summary>
internal sealed class RunningSum(SumKind kind) : IDisposable
{
    private readonly IncrementalHash? _sha256 = kind == SumKind.Sha256 ? IncrementalHash.CreateHash(HashAlgorithmName.SHA256) : null;
    private readonly XxHash128? _xxHash = kind == SumKind.XxHash128 ? new XxHash128() : null;

    /// <summary>The hash's name in messages.</summary>
    public string Name => kind == SumKind.Sha256 ? "SHA-256" : "XXH128";

    /// <summary>Adds bytes.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        _sha256?.AppendData(bytes);
        _xxHash?.Append(bytes);
    }

    /// <summary>The hash of what was added, lower-case hex.</summary>
    public string Hex() => Convert.ToHexStringLower(_sha256?.GetCurrentHash() ?? _xxHash!.GetCurrentHash());

    /// <inheritdoc/>
    public void Dispose() => _sha256?.Dispose();
}
