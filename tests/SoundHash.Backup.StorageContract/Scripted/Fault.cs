namespace SoundHash.Backup.StorageContract.Scripted;

/// <summary>
/// Something that goes wrong with the next requests of a kind. What is not set goes as it always does; several may be set
/// together (a delay, then a cut).
/// </summary>
public sealed record Fault
{
    /// <summary>Which requests it is for, by their heads; by default all.</summary>
    public Func<ScriptedRequest, bool> When { get; init; } = static _ => true;

    /// <summary>How many such requests pass first.</summary>
    public int After { get; init; }

    /// <summary>How many such requests it is for.</summary>
    public int Times { get; init; } = 1;

    /// <summary>This is answered and the request is not carried out.</summary>
    public ScriptedAnswer? Answer { get; init; }

    /// <summary>The <see cref="Answer"/> comes before the body has been read, and the connection is closed.</summary>
    public bool AnswersEarly { get; init; }

    /// <summary>The connection is reset after so many bytes of the request's body, and it is not carried out.</summary>
    public long? CutRequestAfter { get; init; }

    /// <summary>What came of a request that is cut is handed to the server all the same, as not whole.</summary>
    public bool KeepsPart { get; init; }

    /// <summary>After so many bytes of the request's body nothing more is read, until the client goes.</summary>
    public long? StallRequestAfter { get; init; }

    /// <summary>The request's body is read so slowly: this long a pause after every 64 KiB.</summary>
    public TimeSpan RequestPause { get; init; }

    /// <summary>Time between having carried out the request and its answer; infinite to let the client wait until it goes.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>The request is carried out, and then the connection is closed in place of an answer.</summary>
    public bool CutsAnswer { get; init; }

    /// <summary>The connection is closed after so many bytes of the answer's body.</summary>
    public long? CutAnswerAfter { get; init; }

    /// <summary>After so many bytes of the answer's body nothing more comes, until the client goes.</summary>
    public long? StallAnswerAfter { get; init; }

    /// <summary>The answer's body comes so slowly: this long a pause after every <see cref="AnswerPiece"/> bytes.</summary>
    public TimeSpan AnswerPause { get; init; }

    /// <summary>Bytes of the answer between two pauses.</summary>
    public int AnswerPiece { get; init; } = 64 * 1024;

    /// <summary>What becomes of the answer of a request that was carried out.</summary>
    public Func<ScriptedAnswer, ScriptedAnswer> Change { get; init; } = static a => a;
}
