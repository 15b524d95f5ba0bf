using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Stages;

namespace Farspan.Mounts.Remotes;

/// <summary>
/// Every call of a managed mount to its remote: cut to the sizes that the remote takes, ended when no answer comes, its outcome reported to the
/// <see cref="OutageMonitor"/>. Fails with <see cref="BackendException"/> only. Thread-safe.
/// </summary>
internal sealed class RemoteLine
{
    /// <summary>The longest request: long enough to fill a line, short enough not to stand in others' way.</summary>
    private const int LongestRequest = 4 << 20;

    private readonly InnerBackend _remote;
    private readonly OutageMonitor _outage;
    private readonly ManagedMountOptions _options;
    private readonly CancellationToken _closed;

    /// <param name="remote">The remote; takes any offset and length.</param>
    /// <param name="outage">Is told how calls went.</param>
    /// <param name="options">The mount's options.</param>
    /// <param name="closed">Ends all calls.</param>
    public RemoteLine(IBackend remote, OutageMonitor outage, ManagedMountOptions options, CancellationToken closed)
    {
        _remote = new InnerBackend(remote);
        _outage = outage;
        _options = options;
        _closed = closed;
        int most = remote.GetCapability<IBlockSizes>()?.BlockSizes.Maximum ?? BlockSizes.Default.Maximum;
        MaximumRequest = Math.Clamp(most, 512, LongestRequest);
    }

    /// <summary>Bytes of the longest read or write that goes out as one request.</summary>
    public int MaximumRequest { get; }

    public bool CanTrim => _remote.Trim is not null;

    public bool CanZero => _remote.Zero is not null;

    public bool CanZeroFast => _remote.Zero is { CanZeroFast: true };

    public bool CanListExtents => _remote.Extents is not null;

    /// <summary>Whether zeroes of a kind go out as bytes: the remote cannot be told of them.</summary>
    public bool AreSent(ZeroKind kind) => kind != ZeroKind.Trim && !CanZero;

    /// <summary>The time in which an answer to a request with so many bytes is expected.</summary>
    public TimeSpan TimeFor(long bytes) => _options.RequestTimeout + TimeSpan.FromSeconds(bytes >> 16);

    public async Task ReadAsync(long offset, Memory<byte> buffer)
    {
        if (buffer.Length <= MaximumRequest)
        {
            await CallAsync(StageCall.Read(offset, buffer));
            return;
        }

        var parts = new List<Task>();
        for (int at = 0; at < buffer.Length; at += MaximumRequest)
            parts.Add(CallAsync(StageCall.Read(offset + at, buffer.Slice(at, Math.Min(MaximumRequest, buffer.Length - at)))));
        await Task.WhenAll(parts);
    }

    public async Task WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        if (buffer.Length <= MaximumRequest)
        {
            await CallAsync(StageCall.Write(offset, buffer));
            return;
        }

        var parts = new List<Task>();
        for (int at = 0; at < buffer.Length; at += MaximumRequest)
            parts.Add(CallAsync(StageCall.Write(offset + at, buffer.Slice(at, Math.Min(MaximumRequest, buffer.Length - at)))));
        await Task.WhenAll(parts);
    }

    public Task FlushAsync() => CallAsync(StageCall.Flush());

    public Task TrimAsync(long offset, long length) => CallAsync(StageCall.Trim(offset, length));

    public Task ZeroAsync(long offset, long length, ZeroMode mode) => CallAsync(StageCall.Zero(offset, length, mode));

    /// <summary>Lists extents into a list that nothing is added to once this has ended.</summary>
    public async Task<List<Extent>> ListExtentsAsync(long offset, long length, int limit, CancellationToken cancellationToken)
    {
        var listed = new List<Extent>();
        await CallAsync(StageCall.ListExtents(offset, length, limit, listed), cancellationToken);
        return listed;
    }

    private async Task CallAsync(StageCall call, CancellationToken cancellationToken = default)
    {
        // What changes bytes is never given up before its answer: the store might carry it out later, over what was written since.
        bool mayGiveUp = call.Operation is BackendOperation.Read or BackendOperation.Flush or BackendOperation.ListExtents;
        var time = mayGiveUp ? TimeFor(call.Operation == BackendOperation.Read ? call.Length : 0) : Timeout.InfiniteTimeSpan;
        using var expiry = new CancellationTokenSource(time, _options.Clock);
        try
        {
            await using (_closed.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), expiry))
            await using (cancellationToken.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), expiry))
                await call.StartAsync(_remote, expiry.Token);
        }
        catch (OperationCanceledException cancelled)
        {
            if (cancellationToken.IsCancellationRequested)
                throw new OperationCanceledException(cancelled.Message, cancelled, cancellationToken);
            if (_closed.IsCancellationRequested)
                throw new BackendException(BackendError.ShuttingDown, $"{call} was given up: the mount is closed.", cancelled);
            var late = new BackendException(BackendError.TimedOut, $"{call} was not answered within {time.TotalSeconds:0.###} s.", cancelled);
            _outage.Failed(late);
            throw late;
        }
        catch (BackendException error)
        {
            if (error.IsTransient)
                _outage.Failed(error);
            throw;
        }
        catch (Exception error)
        {
            throw new BackendException(BackendError.InputOutput, $"{call} failed: {error.Message}", error);
        }

        _outage.Succeeded();
    }
}
