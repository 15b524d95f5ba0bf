using System.Diagnostics.CodeAnalysis;

namespace Farspan.Nbd.Server;

/// <summary>Rents buffers that count among what a connection has in flight. The connection's thread only.</summary>
internal sealed class FlightBuffers(BufferPool pool, Flight flight, Outbox outbox)
{
    /// <summary>Waits for room, with nothing left unsent meanwhile; fails once the connection is ended.</summary>
    public bool TryRent(int length, [NotNullWhen(true)] out PooledBuffer? buffer)
    {
        buffer = null;
        int capacity = BufferPool.Capacity(length);
        if (!flight.HasRoomForBytes(capacity))
        {
            outbox.Flush();
            if (!flight.WaitForBytes(capacity))
                return false;
        }

        buffer = pool.Rent(length);
        buffer.Charge(flight);
        return true;
    }
}
