using Farspan.Waiting;

namespace Farspan.Linux.Userfaults;

/// <summary>Those who wait for the end of what is being done to chunks. Thread-safe.</summary>
internal sealed class ChunkWaiters(ChunkTable table)
{
    private readonly Dictionary<long, Signal> _signals = [];
    private readonly Lock _gate = new();

    /// <summary>Waits until a chunk is no longer in a state; throws what filling it failed with, where that was the end.</summary>
    public Task WaitAsync(long index, ChunkState state, CancellationToken cancellationToken)
    {
        Signal? signal;
        lock (_gate)
        {
            // Marked under the lock: who ends it sees the mark, or has ended it before.
            if (!table.TryMark(index, state, ChunkTable.Awaited))
                return Task.CompletedTask;
            if (!_signals.TryGetValue(index, out signal))
                _signals.Add(index, signal = new Signal());
        }

        return signal.WaitAsync(cancellationToken);
    }

    /// <summary>What was being done has ended; <paramref name="word"/> is what the table said before.</summary>
    public void End(long index, uint word, Exception? failure = null)
    {
        if ((word & ChunkTable.Awaited) == 0)
            return;
        Signal? signal;
        lock (_gate)
        {
            if (!_signals.Remove(index, out signal))
                return;
        }

        if (failure is null)
            signal.Set();
        else
            signal.Fail(failure);
    }
}
