using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>Receives the replies of one connection, on its thread. Where payloads have checksums, nothing of one is believed before its checksum was seen.</summary>
internal sealed class LaneReader(WireLane lane, ByteChannel line)
{
    /// <summary>Longer payloads go from the line straight into the caller's buffer.</summary>
    private const int LargestInBlock = 64 << 10;

    private readonly byte[] _block = GC.AllocateUninitializedArray<byte>(256 << 10, pinned: true);
    private readonly bool _hasChecksums = lane.Link.HasChecksums;
    private int _head;
    private int _tail;
    private bool _headerAlone;

    private Span<byte> Buffered => _block.AsSpan(_head, _tail - _head);

    /// <summary>Returns when the server closed the connection between two replies.</summary>
    /// <exception cref="IOException">The line ended, or what came is no reply.</exception>
    public void Run()
    {
        while (true)
        {
            if (!TryBuffer(WireFrame.Size))
            {
                if (Buffered.Length > 0)
                    throw Broken("the connection ended within a reply");
                return;
            }

            if (!WireFrame.TryReadReply(Buffered, out var reply))
                throw Broken("what came is no reply");
            _head += WireFrame.Size;

            // Long payloads come in series: what is received of the next one with its header would have to be copied.
            _headerAlone = reply.PayloadLength > LargestInBlock;
            Take(reply);
        }
    }

    private void Take(in WireFrame reply)
    {
        WireSlot slot;
        WireRequest? target = null;
        Memory<byte> room = default;
        lock (lane.Link.Gate)
        {
            slot = lane.Find(reply) ?? throw Broken("a reply came that belongs to no request");
            bool hasData = reply.Operation == WireOperation.Read || MoveRequest.Has(reply.Operation);
            bool isData = hasData && reply.Status == WireStatus.Done && reply.PayloadLength > 0;
            if (isData && slot.Request is { } waiting)
            {
                target = waiting;
                room = waiting.RoomFor(reply.PayloadLength);
                waiting.Pins++;
            }
        }

        try
        {
            if (reply.PayloadLength > LargestInBlock)
                TakeLarge(reply, room.Span);
            else
                TakeSmall(reply, room.Span, slot);
        }
        finally
        {
            if (target is not null)
                lane.Link.Unpin(target);
        }

        if (reply.PayloadLength > LargestInBlock)
            lane.Link.OnReply(slot, reply, default);
    }

    private void TakeSmall(in WireFrame reply, Span<byte> room, WireSlot slot)
    {
        if (!TryBuffer(reply.PayloadLength))
            throw Broken("the connection ended within a reply");
        var payload = Buffered[..reply.PayloadLength];
        _head += reply.PayloadLength;
        Check(reply, payload);
        if (!room.IsEmpty)
            payload.CopyTo(room);
        lane.Link.OnReply(slot, reply, payload);
    }

    /// <summary>Without room, nobody waits for the payload any more.</summary>
    private void TakeLarge(in WireFrame reply, Span<byte> room)
    {
        int done = Math.Min(Buffered.Length, reply.PayloadLength);
        uint checksum = _hasChecksums ? Crc32C.Compute(Buffered[..done]) : 0;
        if (!room.IsEmpty)
            Buffered[..done].CopyTo(room);
        _head += done;
        while (done < reply.PayloadLength)
        {
            int left = reply.PayloadLength - done;
            if (room.IsEmpty && _head > 0)
                (_head, _tail) = (0, 0);
            var part = room.IsEmpty ? _block.AsSpan(0, Math.Min(left, _block.Length)) : room[done..];
            int count = Receive(part);
            if (count == 0)
                throw Broken("the connection ended within a reply");
            if (_hasChecksums)
                checksum = Crc32C.Append(checksum, part[..count]);
            done += count;
        }

        if (_hasChecksums && checksum != reply.PayloadChecksum)
            throw Broken("a payload was damaged on its way");
    }

    private void Check(in WireFrame reply, ReadOnlySpan<byte> payload)
    {
        if (_hasChecksums && (payload.Length == 0 ? 0 : Crc32C.Compute(payload)) != reply.PayloadChecksum)
            throw Broken("a payload was damaged on its way");
    }

    private bool TryBuffer(int length)
    {
        while (Buffered.Length < length)
        {
            if (Buffered.IsEmpty)
            {
                _head = _tail = 0;
            }
            else if (_block.Length - _head < length)
            {
                Buffered.CopyTo(_block);
                (_head, _tail) = (0, _tail - _head);
            }

            var room = _block.AsSpan(_tail);
            int count = Receive(_headerAlone ? room[..(length - Buffered.Length)] : room);
            if (count == 0)
                return false;
            _tail += count;
        }

        return true;
    }

    private int Receive(Span<byte> target)
    {
        int count = line.Receive(target);
        lane.LastArrival = lane.Link.Options.Clock.GetTimestamp();
        lane.IsPinged = false;
        return count;
    }

    private BackendException Broken(string what)
        => new(BackendError.Protocol, $"{lane.Link.Options.Name}: {what}.", isTransient: true);
}
