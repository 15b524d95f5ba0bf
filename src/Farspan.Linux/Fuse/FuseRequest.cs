using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Farspan.Backends;
using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>
/// One request from its arrival to its reply, with the memory for both; used again and again. It is native memory, so that the kernel copies
/// into it and out of it without anything being pinned.
/// </summary>
/// <remarks>
/// <code>
/// block       block + 2048     payload - 80   payload - 40   payload (page aligned)
/// iovecs      vectored header  in header      operation      data of WRITE, and of every reply behind its header at payload - 16
/// </code>
/// </remarks>
internal sealed unsafe class FuseRequest : MemoryManager<byte>
{
    public const int MaximumLoans = 64;

    private const int Page = 4096;
    private static readonly int InputLength = sizeof(FuseInHeader) + sizeof(FuseWriteIn);

    private readonly LentMemory[] _loans = new LentMemory[MaximumLoans];
    private readonly MemoryHandle[] _pins = new MemoryHandle[MaximumLoans];
    private readonly Action _completed;
    private byte* _block;
    private int _loanCount;
    private ValueTaskAwaiter _awaiter;
    private Action<FuseRequest>? _whenDone;
    private CancellationTokenSource _cancellation = new();
    private bool _isWaiting;
    private volatile bool _isInterrupted;
    private ulong _unique;

    public FuseRequest(int payloadCapacity)
    {
        Capacity = payloadCapacity;
        _completed = Complete;
        _block = (byte*)NativeMemory.AlignedAlloc((nuint)(Page + payloadCapacity), Page);
    }

    /// <summary>Bytes of payload that fit.</summary>
    public int Capacity { get; }

    /// <summary>Where the request came from, and the reply has to go: the kernel looks for it nowhere else. Set before the request is handled.</summary>
    public IFuseChannel Channel { get; set; } = null!;

    /// <summary>Where a request is received.</summary>
    public byte* Input => _block + Page - InputLength;

    /// <summary>Bytes that may be received at <see cref="Input"/>.</summary>
    public int InputCapacity => Capacity + InputLength;

    public ref FuseInHeader Header => ref *(FuseInHeader*)Input;

    /// <summary>What stands behind the header.</summary>
    public byte* Body => Input + sizeof(FuseInHeader);

    /// <summary>Data of a WRITE, data of a reply.</summary>
    public byte* Payload => _block + Page;

    public FuseOpcode Opcode { get; private set; }

    public ulong Unique => Volatile.Read(ref _unique);

    /// <summary>Tells whether a thread is about to die.</summary>
    public Func<int, bool> IsDying { get; set; } = ProcessStatus.HasPendingKill;

    /// <summary>Thread that asked; 0 where the kernel itself did.</summary>
    public int ProcessId { get; private set; }

    /// <summary>Length that the operation is about, for its reply.</summary>
    public int Length { get; set; }

    /// <summary>Result of an operation that answers with an offset.</summary>
    public long Result { get; set; }

    /// <summary>Cancelled when nobody waits for the answer any more.</summary>
    public CancellationToken Cancellation => _cancellation.Token;

    /// <summary>Takes from the header what outlives it: the reply is built over the request.</summary>
    public void Begin()
    {
        Opcode = (FuseOpcode)Header.opcode;
        ProcessId = (int)Header.pid;
        if (_cancellation.IsCancellationRequested)
        {
            _cancellation.Dispose();
            _cancellation = new CancellationTokenSource();
        }

        // Last: from now on the request can be interrupted.
        _isInterrupted = false;
        Volatile.Write(ref _unique, Header.unique);
    }

    /// <summary>Leaves the request to its operation: <paramref name="whenDone"/> is called, on any thread, once that has ended.</summary>
    public void Await(ValueTaskAwaiter awaiter, Action<FuseRequest> whenDone)
    {
        _awaiter = awaiter;
        _whenDone = whenDone;
        lock (_completed)
        {
            _isWaiting = true;
            if (_isInterrupted)
                CancelForTheDying();
        }

        awaiter.UnsafeOnCompleted(_completed);
    }

    /// <summary>The outcome of the awaited operation; throws what it threw.</summary>
    public void GetResult()
    {
        var awaiter = _awaiter;
        _awaiter = default;
        awaiter.GetResult();
    }

    /// <summary>
    /// Whether this is the request with the number, whose thread has got a signal; if so, and if the thread is about to die, its operation is
    /// cancelled, now or as soon as it begins to wait.
    /// </summary>
    public bool TryInterrupt(ulong unique)
    {
        lock (_completed)
        {
            if (Unique != unique)
                return false;
            _isInterrupted = true;
            if (_isWaiting)
                CancelForTheDying();
            return true;
        }
    }

    /// <summary>Cancels the operation if one still waits.</summary>
    public void CancelWaiting()
    {
        lock (_completed)
        {
            if (_isWaiting)
                Cancel();
        }
    }

    public Errno ReplyError(Errno error) => Reply(-(int)error, 0);

    /// <summary>Replies with the first <paramref name="length"/> bytes at <see cref="Payload"/>.</summary>
    public Errno ReplyPayload(int length) => Reply(0, length);

    public Errno ReplyStruct<T>(in T value)
        where T : unmanaged
    {
        *(T*)Payload = value;
        return Reply(0, sizeof(T));
    }

    /// <summary>Replies with bytes where the backend keeps them; false, and nothing sent, when it does not lend all of them.</summary>
    public bool TryReplyLent(IMemoryLender lender, long offset, int length, out Errno error)
    {
        var vectors = (IoVector*)_block;
        int done = 0;
        error = Errno.Ok;
        try
        {
            while (done < length)
            {
                if (_loanCount == MaximumLoans || !lender.TryLend(offset + done, length - done, out var lent))
                    return false;
                _loans[_loanCount] = lent;
                _pins[_loanCount] = lent.Memory.Pin();
                vectors[_loanCount + 1].Start = (byte*)_pins[_loanCount].Pointer;
                vectors[_loanCount + 1].Length = (nuint)lent.Memory.Length;
                _loanCount++;
                done += lent.Memory.Length;
            }

            var header = (FuseOutHeader*)(_block + (Page / 2));
            header->len = (uint)(sizeof(FuseOutHeader) + length);
            header->error = 0;
            header->unique = Unique;
            vectors[0].Start = (byte*)header;
            vectors[0].Length = (nuint)sizeof(FuseOutHeader);
            error = Channel.SendVector(vectors, _loanCount + 1);
            return true;
        }
        finally
        {
            while (_loanCount > 0)
            {
                _loanCount--;
                _pins[_loanCount].Dispose();
                _loans[_loanCount].Dispose();
                _loans[_loanCount] = default;
            }
        }
    }

    public override Span<byte> GetSpan() => new(Payload, Capacity);

    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)Capacity, nameof(elementIndex));
        return new MemoryHandle(Payload + elementIndex);
    }

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        NativeMemory.AlignedFree(_block);
        _block = null;
        if (disposing)
            _cancellation.Dispose();
    }

    // A signal that does not kill must not fail the request: programs do not expect EINTR from a file, and a page fault would become SIGBUS.
    private void CancelForTheDying()
    {
        if (IsDying(ProcessId))
            Cancel();
    }

    // The backend's reaction runs elsewhere: it may block, or throw, which concerns neither this thread nor the mount.
    private void Cancel() => _ = _cancellation.CancelAsync();

    private void Complete()
    {
        lock (_completed)
            _isWaiting = false;
        _whenDone!(this);
    }

    private Errno Reply(int error, int length)
    {
        var header = (FuseOutHeader*)(Payload - sizeof(FuseOutHeader));
        header->len = (uint)(sizeof(FuseOutHeader) + length);
        header->error = error;
        header->unique = Unique;
        return Channel.Send((byte*)header, sizeof(FuseOutHeader) + length);
    }
}
