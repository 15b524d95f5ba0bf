using Farspan.Backends;
using Farspan.Waiting;

namespace Farspan.Mounts.Pulling;

/// <summary>One run of chunks on its way from the remote. The mount's gate guards what changes.</summary>
internal sealed class Pull(long firstChunk, long count, PullKind kind)
{
    private Dictionary<long, BackendException>? _failures;

    public long FirstChunk { get; } = firstChunk;

    public long Count { get; } = count;

    public long LastChunk => FirstChunk + Count - 1;

    public PullKind Kind { get; } = kind;

    /// <summary>Set when it has ended, well or not.</summary>
    public Signal Done { get; } = new();

    /// <summary>Readers that wait for it.</summary>
    public int Waiters { get; set; }

    /// <summary>Cancelled when nobody waits any more, while the pull waits for the remote to come back.</summary>
    public CancellationTokenSource? Patience { get; set; }

    /// <summary>Why none of its chunks came.</summary>
    public BackendException? Failure { get; set; }

    /// <summary>Whether it was tried for as long as an outage may last.</summary>
    public bool IsGivenUp { get; set; }

    public bool HasFailed => Failure is not null || _failures is not null;

    /// <summary>Another try begins.</summary>
    public void Restart()
    {
        Failure = null;
        _failures = null;
    }

    public void Fail(long chunkIndex, BackendException error) => (_failures ??= [])[chunkIndex] = error;

    /// <summary>Why a chunk did not come, or null.</summary>
    public BackendException? FailureOf(long chunkIndex) => _failures?.GetValueOrDefault(chunkIndex) ?? Failure;
}
