using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Migration;

/// <summary>
/// A region of which some is still at another host, as the program that uses it sees it: what is missing is fetched first, what is written is here.
/// Thread-safe.
/// </summary>
/// <remarks>Once all of it is here, and was verified, a call costs one read of a field.</remarks>
internal sealed class ReceivingStage(RegionCopy copy, CopyPull pull, Func<CancellationToken, ValueTask> flush) : InterceptingStage(copy.Local.Backend)
{
    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
    {
        switch (call.Operation)
        {
            case BackendOperation.Flush:
                return flush(cancellationToken);
            case BackendOperation.Read:
                return copy.IsWhole || call.Length == 0 ? call.StartAsync(Below, cancellationToken) : ReadAsync(call, cancellationToken);
            case BackendOperation.ListExtents:
                if (copy.IsWhole || call.Length == 0)
                    return call.StartAsync(Below, cancellationToken);
                call.Extents!.Add(new Extent(call.Offset, call.Length, ExtentKind.Data));
                return default;

            // Only advice: what is not here would have to be fetched for it.
            case BackendOperation.Trim when !copy.IsWhole:
                return default;
            default:
                return copy.IsSettled || call.Length == 0 ? call.StartAsync(Below, cancellationToken) : ChangeAsync(call, cancellationToken);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadAsync(StageCall call, CancellationToken cancellationToken)
    {
        await pull.DemandAsync(copy.Layout.IndexOf(call.Offset), copy.Layout.IndexOf(call.Offset + call.Length - 1), cancellationToken);
        await call.StartAsync(Below, cancellationToken);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ChangeAsync(StageCall call, CancellationToken cancellationToken)
    {
        long first = copy.Layout.IndexOf(call.Offset), end = call.Offset + call.Length;
        long last = copy.Layout.IndexOf(end - 1);

        // What a change leaves of a chunk has to be there before.
        if (call.Offset != copy.Layout.OffsetOf(first))
            await pull.DemandAsync(first, first, cancellationToken);
        if (end != copy.Layout.OffsetOf(last) + copy.Layout.LengthOf(last))
            await pull.DemandAsync(last, last, cancellationToken);
        var hold = await copy.Locks.AcquireAsync(first, last, exclusive: true, cancellationToken);
        try
        {
            copy.MarkWritten(first, last - first + 1);
            await call.StartAsync(Below, cancellationToken);
            lock (copy.Gate)
                copy.SetHere(first, last - first + 1);
        }
        finally
        {
            copy.Locks.Release(hold);
        }
    }
}
