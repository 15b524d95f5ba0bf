using System.Numerics;
using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>
/// A request, or a piece of one, from its start to the posting of its reply. It goes on, on whatever thread, as the backend's tasks complete,
/// and goes back to its pool with the reply; so requests allocate nothing. One method runs at a time.
/// </summary>
internal sealed class Operation : IThreadPoolWorkItem
{
    /// <summary>Calls of the backend in a row that complete at once, before others get their turn.</summary>
    private const int MostStepsAtOnce = 64;

    private readonly OperationContext _context;
    private readonly Action _resume;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _awaiter;
    private Operation? _parent;
    private PooledBuffer? _buffer;
    private int _bufferOffset;
    private long _offset;
    private long _length;
    private long _done;
    private bool _startedMain;
    private bool _startedFlush;
    private volatile bool _abandoned;
    private int _pending;
    private Fault? _fault;
    private StatusAnswer? _answer;
    private ulong _contextsLeft;
    private int _runsPerContext;

    public Operation(OperationContext context)
    {
        _context = context;
        _resume = Resume;
    }

    /// <summary>The next one in the pool.</summary>
    public Operation? NextSpare { get; set; }

    public OperationKind Kind { get; private set; }

    public RequestHeader Request { get; private set; }

    /// <summary>Whether pieces of it are running.</summary>
    public bool HasPieces => Volatile.Read(ref _pending) > 1;

    /// <summary>Of a FLUSH, what <see cref="WriteLedger.BeginFlush"/> said.</summary>
    public long FlushCovers { get; set; }

    /// <summary>Prepares a whole request over a range; it counts among those in flight from here on.</summary>
    public void Begin(OperationKind kind, in RequestHeader request, long offset, long length)
    {
        Set(kind, request, offset, length);
        _context.Flight.Begin();
    }

    /// <summary>Prepares a piece of <paramref name="parent"/>'s request.</summary>
    public void BeginPiece(OperationKind kind, Operation parent, long offset, long length)
    {
        Set(kind, parent.Request, offset, length);
        _parent = parent;
        Interlocked.Increment(ref parent._pending);
    }

    /// <summary>Gives the operation its bytes, with the caller's reference.</summary>
    public void SetBuffer(PooledBuffer buffer, int offset)
    {
        _buffer = buffer;
        _bufferOffset = offset;
    }

    /// <summary>Says of which contexts a BLOCK_STATUS tells. However many they are, the whole answer is no longer than that of one.</summary>
    public void AskFor(ulong contexts)
    {
        _contextsLeft = contexts;
        bool one = (Request.Flags & NbdCommandFlags.ReqOne) != 0;
        _runsPerContext = one ? 1 : Replies.LargestExtentCount / BitOperations.PopCount(contexts);
        _answer ??= new StatusAnswer();
    }

    /// <summary>Starts it.</summary>
    public void Run() => Continue(null);

    /// <summary>Goes on, on a thread of the pool, after it gave up its turn.</summary>
    void IThreadPoolWorkItem.Execute() => Continue(null);

    /// <summary>Goes on from a task that the caller has started as the main step.</summary>
    public void RunFrom(ValueTask task)
    {
        _startedMain = true;
        _done = _length;
        Continue(task);
    }

    /// <summary>Has it end without a reply, as its connection has ended, or with an error for want of memory; then drop the hold.</summary>
    public void Abandon(OutOfMemoryException? failure = null)
    {
        if (failure is null)
            _abandoned = true;
        else
            Note(_context.Explain(failure, Request, _offset));
    }

    /// <summary>Drops the hold that the starter of the pieces has on a join.</summary>
    public void ReleaseHold() => EndPiece(null);

    private void Set(OperationKind kind, in RequestHeader request, long offset, long length)
    {
        Kind = kind;
        Request = request;
        _offset = offset;
        _length = length;
        _done = 0;
        _startedMain = false;
        _startedFlush = false;
        _abandoned = false;
        _pending = 1;
        _fault = null;
        _parent = null;
    }

    private void EndPiece(Fault? fault)
    {
        if (fault is { } first)
            Note(first);
        if (Interlocked.Decrement(ref _pending) == 0)
            Continue(null);
    }

    private void Note(Fault fault)
    {
        lock (_resume)
            _fault ??= fault;
    }

    private void Resume()
    {
        try
        {
            _awaiter.GetResult();
        }
        catch (Exception error)
        {
            Finish(error);
            return;
        }

        Continue(null);
    }

    private void Continue(ValueTask? started)
    {
        try
        {
            for (int steps = 0; ; steps++)
            {
                if (steps == MostStepsAtOnce)
                {
                    // A terabyte of zeroes must not keep the connection from seeing that its client has gone.
                    ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
                    return;
                }

                ValueTask task;
                if (started is { } given)
                    task = given;
                else if (!TryStep(out task))
                    break;
                started = null;
                var awaiter = task.ConfigureAwait(false).GetAwaiter();
                if (!awaiter.IsCompleted)
                {
                    _awaiter = awaiter;
                    awaiter.UnsafeOnCompleted(_resume);
                    return;
                }

                awaiter.GetResult();
            }
        }
        catch (Exception error)
        {
            Finish(error);
            return;
        }

        Finish(null);
    }

    /// <summary>Starts the next call of the backend; false where none is left.</summary>
    private bool TryStep(out ValueTask task)
    {
        task = default;
        if (_fault is not null || _abandoned)
            return false;
        if (!_startedMain || _done < _length)
        {
            _context.Cancelled.ThrowIfCancellationRequested();
            bool first = !_startedMain;
            _startedMain = true;
            if (TryMainStep(first, out task))
                return true;
        }

        bool flushes = Kind == OperationKind.Flush
            || ((Request.Flags & NbdCommandFlags.Fua) != 0 && _parent is null
                && Request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes);
        if (!flushes || _startedFlush)
            return false;
        _startedFlush = true;
        task = _context.Backend.FlushAsync(_context.Cancelled);
        return true;
    }

    private bool TryMainStep(bool first, out ValueTask task)
    {
        task = default;
        var backend = _context.Backend;
        long at = _offset + _done;
        long left = _length - _done;
        switch (Kind)
        {
            case OperationKind.Read:
            case OperationKind.Write:
                int count = (int)Math.Min(left, _context.Export.PieceBytes);
                var memory = _buffer!.Array.AsMemory(_bufferOffset + (int)_done, count);
                _done += count;
                task = Kind == OperationKind.Read
                    ? backend.ReadAsync(at, memory, _context.Cancelled)
                    : backend.WriteAsync(at, memory, _context.Cancelled);
                return true;
            case OperationKind.Trim:
                _done = _length;
                task = _context.Export.Trim!.TrimAsync(at, left, _context.Cancelled);
                return true;
            case OperationKind.Zero:
                _done = _length;
                task = _context.Export.Zero!.ZeroAsync(at, left, OperationContext.ZeroModeOf(Request.Flags), _context.Cancelled);
                return true;
            case OperationKind.ZeroByWriting:
                var zeroes = _context.Zeroes(left);
                _done += zeroes.Length;
                task = backend.WriteAsync(at, zeroes, _context.Cancelled);
                return true;
            case OperationKind.Cache:
                int read = (int)Math.Min(left, _buffer!.Array.Length);
                _done += read;
                task = backend.ReadAsync(at, _buffer.Array.AsMemory(0, read), _context.Cancelled);
                return true;
            case OperationKind.BlockStatus:
                return TryAskStatus(first, out task);
            default:
                return false;
        }
    }

    /// <summary>Asks for the next context, once the answer for the one before is on its way.</summary>
    private bool TryAskStatus(bool first, out ValueTask task)
    {
        task = default;
        if (!first)
            _fault = _context.Replies.TryPostBlockStatus(Request, _answer!, isLast: false);
        if (_fault is not null)
            return false;
        var context = _context.Export.Contexts[BitOperations.TrailingZeroCount(_contextsLeft)];
        _contextsLeft &= ~context.Bit;
        if (_contextsLeft == 0)
            _done = _length;
        _answer!.Begin(context, _length, _runsPerContext);
        task = _context.AskStatus(_offset, _answer);
        return true;
    }

    private void Finish(Exception? error)
    {
        var fault = error is null ? _fault : _context.Explain(error, Request, _offset);
        var parent = _parent;
        if (parent is not null)
            fault = FinishPiece(parent, fault);
        else
            FinishRequest(fault);
        _buffer?.Release();
        _buffer = null;
        _awaiter = default;
        if (_answer is { IsLarge: true })
            _answer = null;
        _context.Return(this);
        parent?.EndPiece(fault);
    }

    private void FinishRequest(Fault? fault)
    {
        if (_abandoned)
        {
            _context.Flight.End();
            return;
        }

        if (fault is null && Kind == OperationKind.BlockStatus)
            fault = _context.Replies.TryPostBlockStatus(Request, _answer!, isLast: true);
        else if (fault is null && Request.Command == NbdCommand.Read && _buffer is not null)
            _context.Replies.PostData(Request, (ulong)_offset, TakeBuffer(), _bufferOffset, (int)_length, isWhole: true);
        else if (fault is null)
            PostSuccess();
        if (fault is { } failed)
            _context.Replies.PostFault(Request, failed);
    }

    /// <summary>
    /// A piece of a read with a buffer of its own is a chunk of its own, and so is its error; others have filled a part of their parent's.
    /// Returns the fault that the whole request has by this piece.
    /// </summary>
    private Fault? FinishPiece(Operation parent, Fault? fault)
    {
        if (Kind != OperationKind.Read || parent._buffer is not null)
            return fault;
        if (fault is { } failed)
            _context.Replies.PostPartFault(Request, failed, (ulong)_offset);
        else
            _context.Replies.PostData(Request, (ulong)_offset, TakeBuffer(), _bufferOffset, (int)_length, isWhole: false);
        return null;
    }

    private void PostSuccess()
    {
        if (Request.Command == NbdCommand.Flush)
            _context.Writes.EndFlush(FlushCovers);
        _context.Replies.PostSuccess(Request);
    }

    private PooledBuffer TakeBuffer()
    {
        var buffer = _buffer!;
        _buffer = null;
        return buffer;
    }
}
