using System.Threading.Channels;
using Farspan.Backends;

namespace Farspan.Cli.Copying;

/// <summary>Copies one backend onto the start of another with a bounded number of requests in flight.</summary>
internal sealed class BackendCopy
{
    private readonly IBackend _source;
    private readonly IBackend _destination;
    private readonly CopyOptions _options;
    private readonly int _requestSize;

    /// <summary>Prepares a copy onto a destination that is at least as long; neither backend is owned.</summary>
    public BackendCopy(IBackend source, IBackend destination, CopyOptions options)
    {
        _source = source;
        _destination = destination;
        _options = options;
        int largest = Math.Min(Sizes(source).Maximum, Sizes(destination).Maximum);
        int smallest = Math.Max(Sizes(source).Minimum, Sizes(destination).Minimum);
        _requestSize = Math.Max(smallest, Math.Min(options.RequestSize, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)largest / 2 + 1)));
    }

    /// <summary>How far it has come.</summary>
    public CopyProgress Progress { get; } = new();

    /// <summary>Copies and flushes the destination.</summary>
    /// <exception cref="BackendException">A backend failed; what was copied before stays.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await ForEachPieceAsync(new CopyPlan(_source, _requestSize, _options.Sparse), Progress, CopyAsync, cancellationToken);
        await _destination.FlushAsync(cancellationToken);
    }

    /// <summary>Reads both and compares; returns the offset of the first difference, or null.</summary>
    public async Task<long?> VerifyAsync(CopyProgress progress, CancellationToken cancellationToken)
    {
        long first = long.MaxValue;
        await ForEachPieceAsync(new CopyPlan(_source, _requestSize, sparse: false), progress, CompareAsync, cancellationToken);
        return first == long.MaxValue ? null : first;

        async ValueTask CompareAsync(CopyPiece piece, CopyBuffers buffers, CancellationToken token)
        {
            if (await FirstDifferenceAsync(piece, buffers, token) is not { } found)
                return;
            long seen;
            while (found < (seen = Volatile.Read(ref first)) && Interlocked.CompareExchange(ref first, found, seen) != seen)
            {
            }
        }
    }

    private static BlockSizes Sizes(IBackend backend) => backend.GetCapability<IBlockSizes>()?.BlockSizes ?? BlockSizes.Default;

    private async Task ForEachPieceAsync(
        CopyPlan plan, CopyProgress progress, Func<CopyPiece, CopyBuffers, CancellationToken, ValueTask> handle, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var queue = Channel.CreateBounded<CopyPiece>(new BoundedChannelOptions(_options.RequestsInFlight) { SingleWriter = true });
        var workers = Enumerable.Range(0, _options.RequestsInFlight).Select(_ => Task.Run(() => WorkAsync(stop.Token), CancellationToken.None));
        var all = workers.Append(Task.Run(() => PlanAsync(stop.Token), CancellationToken.None)).ToArray();
        Exception? failure = null;
        await foreach (var ended in Task.WhenEach(all))
        {
            if (ended.IsCompletedSuccessfully)
                continue;
            // The first failure is the cause; the cancellations that follow are its effect.
            failure ??= ended.Exception?.InnerException ?? new OperationCanceledException(cancellationToken);
            await stop.CancelAsync();
        }

        if (failure is not null)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);

        async Task PlanAsync(CancellationToken token)
        {
            try
            {
                await foreach (var piece in plan.ListAsync(token))
                {
                    progress.Plan(piece.Offset, piece.Length);
                    await queue.Writer.WriteAsync(piece, token);
                }
            }
            finally
            {
                queue.Writer.Complete();
            }
        }

        async Task WorkAsync(CancellationToken token)
        {
            var buffers = new CopyBuffers(_requestSize);
            await foreach (var piece in queue.Reader.ReadAllAsync(token))
            {
                await handle(piece, buffers, token);
                progress.Complete(piece.Offset, piece.Length);
            }
        }
    }

    private async ValueTask CopyAsync(CopyPiece piece, CopyBuffers buffers, CancellationToken cancellationToken)
    {
        if (piece.IsZero)
        {
            await ZeroAsync(piece.Offset, piece.Length, buffers, cancellationToken);
            return;
        }

        var data = buffers.Source.AsMemory(0, (int)piece.Length);
        bool isEqual = false;
        if (_options.OnlyChanges)
            isEqual = await FirstDifferenceAsync(piece, buffers, cancellationToken) is null;
        else
            await _source.ReadAsync(piece.Offset, data, cancellationToken);
        Progress.AddRead(data.Length);
        if (isEqual)
            return;
        if (!_options.Sparse)
        {
            await WriteAsync(piece.Offset, data, cancellationToken);
            return;
        }

        foreach (var run in ZeroRuns.Split(data.Span))
        {
            if (run.IsZero)
                await ZeroAsync(piece.Offset + run.Start, run.Length, buffers, cancellationToken);
            else
                await WriteAsync(piece.Offset + run.Start, data.Slice(run.Start, run.Length), cancellationToken);
        }
    }

    private async ValueTask<long?> FirstDifferenceAsync(CopyPiece piece, CopyBuffers buffers, CancellationToken cancellationToken)
    {
        var source = buffers.Source.AsMemory(0, (int)piece.Length);
        var destination = buffers.Destination.AsMemory(0, (int)piece.Length);
        var reading = _destination.ReadAsync(piece.Offset, destination, cancellationToken).AsTask();
        try
        {
            await _source.ReadAsync(piece.Offset, source, cancellationToken);
        }
        finally
        {
            // The buffer belongs to the backend until its call ends.
            await reading.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        await reading;
        int equal = source.Span.CommonPrefixLength(destination.Span);
        return equal == source.Length ? null : piece.Offset + equal;
    }

    private async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        await _destination.WriteAsync(offset, data, cancellationToken);
        Progress.AddWritten(data.Length);
    }

    private async ValueTask ZeroAsync(long offset, long length, CopyBuffers buffers, CancellationToken cancellationToken)
    {
        long end = offset + length;
        var extents = new List<Extent>();
        while (offset < end)
        {
            extents.Clear();
            if (_destination.GetCapability<IExtentSource>() is { } known)
                await known.ListExtentsAsync(offset, end - offset, limit: 256, extents, cancellationToken);
            else
                extents.Add(new Extent(offset, end - offset, ExtentKind.Data));
            foreach (var extent in extents)
            {
                if (!extent.Kind.HasFlag(ExtentKind.Zero))
                    await MakeZeroAsync(extent.Offset, extent.Length, buffers, cancellationToken);
                offset = extent.Offset + extent.Length;
            }
        }
    }

    private async ValueTask MakeZeroAsync(long offset, long length, CopyBuffers buffers, CancellationToken cancellationToken)
    {
        if (_destination.GetCapability<IZero>() is { } zero)
        {
            await zero.ZeroAsync(offset, length, ZeroMode.None, cancellationToken);
            return;
        }

        var zeroes = buffers.Zeroes;
        for (long at = offset; at < offset + length;)
        {
            int count = (int)Math.Min(zeroes.Length, offset + length - at);
            await WriteAsync(at, zeroes.AsMemory(0, count), cancellationToken);
            at += count;
        }
    }
}
