using System.Runtime.ExceptionServices;

namespace Farspan.Chunks;

/// <summary>One request whose pieces did not all complete synchronously: lanes that each take the next piece until none is left.</summary>
internal sealed class FanOutRun<TJob, TPiece>
    where TJob : struct, IPieceJob<TPiece>
{
    private readonly Lock _gate = new();
    private readonly Task[] _lanes;
    private readonly CancellationToken _cancellationToken;
    private TJob _job;
    private ExceptionDispatchInfo? _failure;

    public FanOutRun(TJob job, int width, CancellationToken cancellationToken)
    {
        _job = job;
        _lanes = new Task[width];
        _cancellationToken = cancellationToken;
    }

    public async ValueTask RunAsync(ValueTask step, TPiece piece)
    {
        _lanes[0] = RunLaneAsync(step);
        int count = 1;
        do
            _lanes[count++] = RunLaneAsync(piece);
        while (count < _lanes.Length && TryTake(out piece));
        await Task.WhenAll(_lanes.AsSpan(0, count));
        _failure?.Throw();
    }

    private async Task RunLaneAsync(ValueTask step)
    {
        try
        {
            await step;
        }
        catch (Exception error)
        {
            Fail(error);
            return;
        }

        if (TryTake(out var piece))
            await RunLaneAsync(piece);
    }

    private async Task RunLaneAsync(TPiece piece)
    {
        try
        {
            do
                await _job.RunAsync(piece, _cancellationToken);
            while (TryTake(out piece));
        }
        catch (Exception error)
        {
            Fail(error);
        }
    }

    private void Fail(Exception error)
    {
        lock (_gate)
            _failure ??= ExceptionDispatchInfo.Capture(error);
    }

    private bool TryTake(out TPiece piece)
    {
        lock (_gate)
        {
            if (_failure is null && _job.TryTake(out piece))
                return true;
            piece = default!;
            return false;
        }
    }
}
