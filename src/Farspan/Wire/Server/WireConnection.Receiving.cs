using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.Checksums;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <content>Receiving into the block, and long payloads behind it.</content>
internal sealed partial class WireConnection
{
    /// <summary>Less room than this behind what is in the block is not worth a receive.</summary>
    private const int LeastFree = 4 << 10;

    private InputSpin? _spin;
    private WireBuffer _block;
    private int _head;
    private int _tail;
    private bool _headerAlone;

    private Span<byte> Buffered => _block.Array.AsSpan(_head, _tail - _head);

    private static InputSpin? Spin(ByteChannel line) => line.KnowsInput ? new InputSpin(line, Environment.ProcessorCount) : null;

    private bool TryServeLarge(in WireFrame request, WireRequests requests, ServedStore store)
    {
        // Long payloads come in series: what is received of the next one with its header would have to be moved.
        _headerAlone = true;
        if (requests.TryRefuse(request))
            return TrySkip(request.PayloadLength);
        return !_hasChecksums && request.Operation == WireOperation.Write && store.InPlaceWriter is { } writer
            ? TryWriteInPlace(request, requests, store.Gate, writer)
            : TryWriteWhole(request, requests);
    }

    /// <summary>
    /// Receives a write straight into the store. The gate is entered for what is there of it only: one who sends slowly holds up no lease, and
    /// is stopped by one that was given meanwhile.
    /// </summary>
    private bool TryWriteInPlace(in WireFrame request, WireRequests requests, LeaseGate gate, IInPlaceWriter store)
    {
        long end = request.Offset + request.Length;
        for (long offset = request.Offset; offset < end;)
        {
            int left = (int)(end - offset);
            if (Buffered.IsEmpty && !TryAwait())
                return GiveUp();
            Exception? failure = gate.TryEnter(Session, request.Epoch);
            bool isOpen = true;
            int count = 0;
            if (failure is null)
            {
                try
                {
                    isOpen = store.TryOpen(offset, left, out var open);
                    count = isOpen ? Take(open) : 0;
                }
                catch (Exception error) when (error is not IOException)
                {
                    failure = error;
                }
                finally
                {
                    gate.Exit();
                }
            }

            if (failure is not null)
            {
                requests.AddFailure(request, failure);
                return TrySkip(left);
            }

            if (!isOpen)
                return TryWriteWhole(request with { Offset = offset, Length = left, PayloadLength = left }, requests);
            if (count == 0)
                return GiveUp();
            offset += count;
        }

        requests.Acknowledge(request);
        return true;
    }

    private bool TryWriteWhole(in WireFrame request, WireRequests requests)
    {
        int length = request.PayloadLength;
        if (requests.Rent(length) is not { } buffer)
            return GiveUp();
        int have = 0;
        while (have < length)
        {
            int count = TakeSome(buffer.Array.AsSpan(have, length - have));
            if (count == 0)
                break;
            have += count;
        }

        bool isWhole = have == length && IsIntact(request, buffer.Array.AsSpan(0, length));
        if (isWhole)
            requests.Write(request, buffer, 0);
        buffer.Release();
        return isWhole || GiveUp();
    }

    private int Take(OpenMemory open)
    {
        try
        {
            return TakeSome(open.Memory.Span);
        }
        finally
        {
            open.Dispose();
        }
    }

    /// <summary>Takes what is in the block, or else receives once; 0 where the line ends.</summary>
    private int TakeSome(Span<byte> target)
    {
        if (Buffered.IsEmpty)
        {
            _outbox.Flush();
            return Receive(target, withinMessage: true);
        }

        int count = Math.Min(target.Length, Buffered.Length);
        Buffered[..count].CopyTo(target);
        _head += count;
        return count;
    }

    /// <summary>Waits until <see cref="TakeSome"/> does not wait; false where the line ends.</summary>
    private bool TryAwait()
    {
        if (_spin is null)
            return TryFill(1, withinMessage: true);
        _outbox.Flush();
        if (!_line.HasInput())
        {
            BeginReceiving(withinMessage: true);
            _line.WaitForInput();
            EndReceiving();
        }

        return true;
    }

    private bool TrySkip(int length)
    {
        while (length > 0)
        {
            if (Buffered.IsEmpty && !TryFill(1, withinMessage: true))
                return false;
            int count = Math.Min(length, Buffered.Length);
            _head += count;
            length -= count;
        }

        return true;
    }

    private bool IsIntact(in WireFrame request, ReadOnlySpan<byte> payload)
    {
        if (!_hasChecksums || (payload.Length == 0 ? 0 : Crc32C.Compute(payload)) == request.PayloadChecksum)
            return true;
        _reason ??= "a payload was damaged on its way";
        return false;
    }

    private bool GiveUp()
    {
        _flight.End();
        return false;
    }

    /// <summary>Makes at least <paramref name="length"/> bytes lie in the block; false where the line ends before.</summary>
    private bool TryBuffer(int length)
    {
        while (Buffered.Length < length)
        {
            if (!TryFill(length, withinMessage: true))
                return false;
        }

        return true;
    }

    /// <summary>Receives once into the block, which has room for <paramref name="wanted"/> bytes then; false where the line ends.</summary>
    private bool TryFill(int wanted, bool withinMessage)
    {
        _outbox.Flush();
        MakeRoom(wanted);
        var room = _block.Array.AsSpan(_tail);
        if (_headerAlone && !withinMessage)
            room = room[..Math.Min(room.Length, WireFrame.Size - Buffered.Length)];
        int count = Receive(room, withinMessage);
        _tail += count;
        return count > 0;
    }

    private void MakeRoom(int wanted)
    {
        bool isShared = _block.IsShared;
        if (Buffered.IsEmpty && !isShared)
            _head = _tail = 0;
        int capacity = _block.Array.Length;
        if (capacity - _head >= wanted && capacity - _tail >= Math.Min(LeastFree, wanted - Buffered.Length))
            return;
        if (isShared)
        {
            // Writes that are still running hold the block: what is left of it goes on in another.
            var next = _pool.Rent(BlockSize);
            Buffered.CopyTo(next.Array);
            _block.Release();
            _block = next;
        }
        else
        {
            Buffered.CopyTo(_block.Array);
        }

        (_head, _tail) = (0, _tail - _head);
    }

    private int Receive(Span<byte> target, bool withinMessage)
    {
        _spin?.Run();
        BeginReceiving(withinMessage);
        int count = _line.Receive(target);
        EndReceiving();
        return count;
    }

    private void BeginReceiving(bool withinMessage)
    {
        _withinMessage = withinMessage;
        Volatile.Write(ref _receivingSince, Math.Max(1, _options.Clock.GetTimestamp()));
    }

    private void EndReceiving() => Volatile.Write(ref _receivingSince, 0);
}
