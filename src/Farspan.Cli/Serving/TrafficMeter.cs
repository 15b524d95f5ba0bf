namespace Farspan.Cli.Serving;

/// <summary>Counts the bytes of all connections. Thread-safe.</summary>
internal sealed class TrafficMeter
{
    private long _received;
    private long _sent;

    /// <summary>Bytes that came from clients.</summary>
    public long Received => Volatile.Read(ref _received);

    /// <summary>Bytes that went to clients.</summary>
    public long Sent => Volatile.Read(ref _sent);

    /// <summary>Bytes came.</summary>
    public void AddReceived(int count) => Interlocked.Add(ref _received, count);

    /// <summary>Bytes went.</summary>
    public void AddSent(int count) => Interlocked.Add(ref _sent, count);
}
