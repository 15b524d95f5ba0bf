using Farspan.Checksums;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <content>Receiving into the block, and long payloads behind it.</content>
internal sealed partial class WireConnection
{
    private bool TryServeLarge(in WireFrame request, WireRequests requests)
    {
        int length = request.PayloadLength;
        if (requests.Rent(length) is not { } buffer)
            return GiveUp();
        int have = Math.Min(length, Buffered.Length);
        Buffered[..have].CopyTo(buffer.Array);
        _head += have;
        _outbox.Flush();
        while (have < length)
        {
            int count = Receive(buffer.Array.AsSpan(have, length - have), withinMessage: true);
            if (count == 0)
                break;
            have += count;
        }

        if (have < length || !IsIntact(request, buffer.Array.AsSpan(0, length)))
        {
            buffer.Release();
            return GiveUp();
        }

        if (!requests.TryRefuse(request))
            requests.Write(request, buffer, 0);
        buffer.Release();
        return true;
    }

    private bool IsIntact(in WireFrame request, ReadOnlySpan<byte> payload)
    {
        if ((payload.Length == 0 ? 0 : Crc32C.Compute(payload)) == request.PayloadChecksum)
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
            if (!TryFill(withinMessage: true))
                return false;
        }

        return true;
    }

    private bool TryFill(bool withinMessage)
    {
        _outbox.Flush();
        if (_block.IsShared)
        {
            // Writes that are still running hold the block: what is left of it goes on in another.
            var next = _pool.Rent(BlockSize);
            Buffered.CopyTo(next.Array);
            _block.Release();
            _block = next;
            (_head, _tail) = (0, _tail - _head);
        }
        else if (_head > 0)
        {
            Buffered.CopyTo(_block.Array);
            (_head, _tail) = (0, _tail - _head);
        }

        int count = Receive(_block.Array.AsSpan(_tail), withinMessage);
        _tail += count;
        return count > 0;
    }

    private int Receive(Span<byte> target, bool withinMessage)
    {
        _withinMessage = withinMessage;
        Volatile.Write(ref _receivingSince, Math.Max(1, _options.Clock.GetTimestamp()));
        int count = _line.Receive(target);
        Volatile.Write(ref _receivingSince, 0);
        return count;
    }
}
