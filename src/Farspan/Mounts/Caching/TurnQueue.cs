using System.Buffers;

namespace Farspan.Mounts.Caching;

/// <summary>
/// Who may write the journal: one turn after another. Records that are added while a turn waits for the ones before it share it: one write for
/// all, and the first of them makes it. Thread-safe.
/// </summary>
/// <remarks>No task runs for it: whoever adds the first records of a turn waits for the turn before and does the work.</remarks>
internal sealed class TurnQueue(int longestShare, Func<ReadOnlyMemory<byte>, ValueTask> write)
{
    private readonly Lock _gate = new();
    private Turn? _open;
    private Task<Exception?> _last = Task.FromResult<Exception?>(null);

    /// <summary>Adds records to the next turn that takes any, and returns when it is over.</summary>
    /// <exception cref="Exception">What the writing threw; none of the turn's records is written then.</exception>
    public ValueTask AddAsync(ReadOnlySpan<byte> records)
    {
        Turn turn;
        Task<Exception?> before;
        lock (_gate)
        {
            if (_open is { } open && open.Records.WrittenCount + records.Length <= longestShare)
            {
                open.Records.Write(records);
                return JoinAsync(open);
            }

            turn = new Turn();
            turn.Records.Write(records);
            before = _last;
            _open = turn;
            _last = turn.Over.Task;
        }

        return RunAsync(turn, before, () => write(Close(turn)));
    }

    /// <summary>Runs <paramref name="work"/> in a turn of its own: what was added before is written, what is added later is not.</summary>
    public ValueTask RunAloneAsync(Func<ValueTask> work)
    {
        var turn = new Turn();
        Task<Exception?> before;
        lock (_gate)
        {
            before = _last;
            _open = null;
            _last = turn.Over.Task;
        }

        return RunAsync(turn, before, work);
    }

    private static async ValueTask JoinAsync(Turn turn)
    {
        if (await turn.Over.Task is { } failure)
            throw failure;
    }

    private static async ValueTask RunAsync(Turn turn, Task<Exception?> before, Func<ValueTask> work)
    {
        await before;
        Exception? failure = null;
        try
        {
            await work();
        }
        catch (Exception error)
        {
            failure = error;
            throw;
        }
        finally
        {
            turn.Over.SetResult(failure);
        }
    }

    private ReadOnlyMemory<byte> Close(Turn turn)
    {
        lock (_gate)
        {
            if (_open == turn)
                _open = null;
        }

        return turn.Records.WrittenMemory;
    }

    private sealed class Turn
    {
        public ArrayBufferWriter<byte> Records { get; } = new(64);

        public TaskCompletionSource<Exception?> Over { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
