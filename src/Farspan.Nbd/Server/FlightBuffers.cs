using System.Diagnostics.CodeAnalysis;

namespace Farspan.Nbd.Server;

/// <summary>Rents buffers that count among what a connection has in flight. The connection's thread only.</summary>
internal sealed class FlightBuffers(BufferPool pool, Flight flight, Outbox outbox)
{
    /// <summary>
    /// Waits for room, with nothing left unsent meanwhile; fails once the connection is ended, and with <paramref name="failure"/> where there is
    /// no memory.
    /// </summary>
    public bool TryRent(int length, [NotNullWhen(true)] out PooledBuffer? buffer, out OutOfMemoryException? failure)
    {
        buffer = null;
        failure = null;
        int capacity = BufferPool.Capacity(length);
        if (!flight.TryTakeBytes(capacity))
        {
            outbox.Flush();
            if (!flight.WaitToTakeBytes(capacity))
                return false;
        }

        try
        {
            buffer = pool.Rent(length);
        }
        catch (OutOfMemoryException error)
        {
            flight.RemoveBytes(capacity);
            failure = error;
            return false;
        }

        buffer.TakeCharge(flight);
        return true;
    }
}
