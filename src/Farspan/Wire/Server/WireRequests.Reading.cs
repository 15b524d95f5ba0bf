using Farspan.Backends;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <content>Reads.</content>
internal sealed partial class WireRequests
{
    /// <summary>From this length on, bytes on loan are sent from where they lie: one more send costs less than the copy.</summary>
    private const int LeastLent = 32 << 10;

    // Bytes on loan may change between a checksum and the send.
    private readonly IMemoryLender? _lender = outbox.HasChecksums ? null : store.Lender;
    private bool _readsAtOnce = true;

    /// <summary>Reads; false once the connection is aborted.</summary>
    public bool TryRead(in WireFrame request)
    {
        if (request.Length >= LeastLent && TryLend(request))
            return true;
        int length = (int)request.Length;
        bool inBatch = length <= SmallPayload && _readsAtOnce;
        WireBuffer? buffer = null;
        Memory<byte> target;
        if (inBatch)
        {
            target = outbox.Reserve(length);
        }
        else
        {
            buffer = Rent(WireFrame.Size + length);
            if (buffer is null)
            {
                flight.End();
                return false;
            }

            target = buffer.Array.AsMemory(WireFrame.Size, length);
        }

        ValueTask task;
        try
        {
            task = length == 0 ? default : _backend.ReadAsync(request.Offset, target, cancelled);
            if (task.IsCompleted)
            {
                task.GetAwaiter().GetResult();
                _readsAtOnce = true;
                if (buffer is null)
                {
                    outbox.Commit(Success(request), length);
                }
                else
                {
                    outbox.SendNow(Success(request), buffer, length);
                    buffer.Release();
                    flight.End();
                }

                return true;
            }
        }
        catch (Exception error)
        {
            buffer?.Release();
            AddFailure(request, error);
            return true;
        }

        int position = 0;
        if (buffer is null)
        {
            _readsAtOnce = false;
            (buffer, position) = outbox.Detach();
        }

        Task().Start(task, request, buffer, position, isGated: false);
        return true;
    }

    private bool TryLend(in WireFrame request)
    {
        try
        {
            int length = (int)request.Length;
            if (_lender is null || !_lender.TryLend(request.Offset, length, out var lent))
                return false;
            if (lent.Memory.Length == length)
            {
                outbox.SendLent(Success(request), lent);
                return true;
            }

            lent.Dispose();
        }
        catch (Exception error) when (error is not IOException)
        {
            // Reading says what is wrong.
        }

        return false;
    }
}
