using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>
/// Carries out the requests of one connection. What the backend has at hand is answered into the batch at once, the rest goes on by itself.
/// Called on the connection's thread, but for what says otherwise.
/// </summary>
internal sealed partial class WireRequests(
    ServedStore store, Guid session, Outbox outbox, Flight flight, WireBufferPool pool, MemoryBudget budget, Action<string> log, CancellationToken cancelled)
{
    /// <summary>Payloads up to this length are received in the block and answered in the batch.</summary>
    public const int SmallPayload = 64 << 10;

    private readonly ConcurrentBag<WireTask> _spare = [];
    private readonly IBackend _backend = store.Backend;
    private RegionRequests? _region;

    public ServedStore Store => store;

    /// <summary>Those about a region that is being moved, where the export is one.</summary>
    public RegionRequests Region => _region ??= new RegionRequests(store.Region!, this, outbox, flight, cancelled);

    /// <summary>Whether every request is now refused.</summary>
    public volatile bool ShuttingDown;

    /// <summary>Answers at once where the request is refused; true then.</summary>
    public bool TryRefuse(in WireFrame request)
    {
        string? reason = store.Check(request, out var status);
        if (ShuttingDown)
            (reason, status) = ("the server is stopping", WireStatus.ShuttingDown);
        if (reason is null)
            return false;
        AddFailure(request, status, reason);
        return true;
    }

    /// <summary>Writes the payload at <paramref name="position"/> of <paramref name="buffer"/>, whose reference stays the caller's.</summary>
    public void Write(in WireFrame request, WireBuffer buffer, int position)
    {
        if (store.Gate.TryEnter(session, request.Epoch) is { } refusal)
        {
            AddFailure(request, refusal);
            return;
        }

        bool isOver = true;
        try
        {
            int length = (int)request.Length;
            var task = length == 0 ? default : _backend.WriteAsync(request.Offset, buffer.Array.AsMemory(position, length), cancelled);
            if (task.IsCompleted)
            {
                task.GetAwaiter().GetResult();
                outbox.Add(Success(request));
            }
            else
            {
                isOver = false;
                buffer.AddReference();
                Task().Start(task, request, buffer, position, isGated: true);
            }
        }
        catch (Exception error)
        {
            AddFailure(request, error);
        }

        if (isOver)
            store.Gate.Exit();
    }

    /// <summary>Flush, trim and zero.</summary>
    public void Change(in WireFrame request)
    {
        // Who holds no lease may still flush what he wrote before another took one; it changes nothing.
        bool isGated = request.Operation != WireOperation.Flush || request.Epoch != 0;
        if (isGated && store.Gate.TryEnter(session, request.Epoch) is { } refusal)
        {
            AddFailure(request, refusal);
            return;
        }

        ValueTask task;
        try
        {
            task = request.Operation switch
            {
                WireOperation.Flush => _backend.FlushAsync(cancelled),
                WireOperation.Trim when store.Trim is { } trim => trim.TrimAsync(request.Offset, request.Length, cancelled),
                WireOperation.Zero when store.Zero is { } zero => zero.ZeroAsync(request.Offset, request.Length, (ZeroMode)request.Detail, cancelled),
                _ => throw new BackendException(BackendError.NotSupported, $"{request.Operation} is not offered here."),
            };
        }
        catch (Exception error)
        {
            task = ValueTask.FromException(error);
        }

        if (task.IsCompletedSuccessfully)
        {
            if (isGated)
                store.Gate.Exit();
            outbox.Add(Success(request));
            return;
        }

        Task().Start(task, request, buffer: null, 0, isGated);
    }

    /// <summary>Lists extents. Never throws.</summary>
    public async Task ListExtentsAsync(WireFrame request)
    {
        byte[]? answer = null;
        Exception? failure = null;
        try
        {
            var extents = new List<Extent>();
            int limit = Math.Clamp((int)request.Detail, 1, WireLimits.MaximumExtents);
            if (request.Length == 0)
                answer = [];
            else if (store.Extents is { } source)
                await source.ListExtentsAsync(request.Offset, request.Length, limit, extents, cancelled);
            else
                throw new BackendException(BackendError.NotSupported, "Extents are not offered here.");
            answer = new byte[extents.Count * ExtentRecord.Size];
            for (int i = 0; i < extents.Count; i++)
                new ExtentRecord(extents[i].Length, extents[i].Kind).Write(answer.AsSpan(i * ExtentRecord.Size));
        }
        catch (Exception error)
        {
            failure = error;
        }

        if (failure is null)
            outbox.Enqueue(new Outgoing(Success(request), null, 0, answer));
        else
            Reply(request, failure, buffer: null, 0);
    }

    /// <summary>Takes the lease. Never throws.</summary>
    public async Task AcquireAsync(WireFrame request, LeaseRequest lease)
    {
        try
        {
            if (store.IsReadOnly)
                throw new BackendException(BackendError.ReadOnly, "A read-only export has no lease.");
            var given = await store.Gate.AcquireAsync(session, lease.Key, lease.Holder);
            outbox.Enqueue(new Outgoing(Success(request) with { Epoch = given.Epoch, Offset = given.Since }, null, 0, null));
        }
        catch (Exception error)
        {
            Reply(request, error, buffer: null, 0);
        }
    }

    /// <summary>Renewing and giving back a lease.</summary>
    public void KeepLease(in WireFrame request)
    {
        try
        {
            if (request.Operation == WireOperation.LeaseRelease)
                store.Gate.Release(session, request.Epoch);
            else if (!store.Gate.TryRenew(session, request.Epoch))
                throw new BackendException(BackendError.Fenced, $"The lease with epoch {request.Epoch} is over.");
            outbox.Add(Success(request));
        }
        catch (BackendException error)
        {
            AddFailure(request, error);
        }
    }

    public void Acknowledge(in WireFrame request) => outbox.Add(Success(request));

    /// <summary>Answers with what the backend, or the gate to it, threw.</summary>
    public void AddFailure(in WireFrame request, Exception error)
    {
        var (status, message) = Explain(error);
        AddFailure(request, status, message);
    }

    public void AddFailure(in WireFrame request, WireStatus status, string message)
        => outbox.Add(Success(request) with { Detail = (ushort)status }, WireLimits.Encode(message, WireLimits.MaximumMessage));

    /// <summary>A buffer that counts, once there is room for it; null once the connection is aborted.</summary>
    public WireBuffer? Rent(int size)
    {
        int capacity = WireBufferPool.Capacity(size);
        if (!budget.HasRoom(capacity))
        {
            outbox.Flush();
            if (!budget.WaitForRoom(capacity))
                return null;
        }

        var buffer = pool.Rent(size);
        buffer.Charge(budget);
        return buffer;
    }

    /// <summary>Queues the reply to a request that took a while, and takes over its buffer. Any thread.</summary>
    public void Reply(in WireFrame request, Exception? failure, WireBuffer? buffer, int position)
    {
        if (failure is null && request.Operation == WireOperation.Read)
        {
            outbox.Enqueue(new Outgoing(Success(request) with { PayloadLength = (int)request.Length }, buffer, position, null));
            return;
        }

        buffer?.Release();
        if (failure is null)
        {
            outbox.Enqueue(new Outgoing(Success(request), null, 0, null));
            return;
        }

        var (status, message) = Explain(failure);
        outbox.Enqueue(new Outgoing(
            Success(request) with { Detail = (ushort)status }, null, 0, WireLimits.Encode(message, WireLimits.MaximumMessage)));
    }

    public void Return(WireTask task) => _spare.Add(task);

    public static WireFrame Success(in WireFrame request) => request with { Detail = 0, PayloadLength = 0, PayloadChecksum = 0 };

    private WireTask Task() => _spare.TryTake(out var spare) ? spare : new WireTask(this);

    private (WireStatus Status, string Message) Explain(Exception error)
    {
        if (error is not (BackendException or OperationCanceledException or ObjectDisposedException))
            log($"the backend threw what it should not: {error}");
        return WireStatusMap.Explain(error);
    }
}
