namespace Farspan.Nbd.Server;

/// <summary>Tells whether a connection has written what no flush of its own has covered.</summary>
internal sealed class WriteLedger
{
    private long _begun;
    private long _flushed;

    /// <summary>Whether a write has begun since the last flush that succeeded.</summary>
    public bool HasUnflushed => Volatile.Read(ref _begun) != Volatile.Read(ref _flushed);

    /// <summary>A write begins. The connection's thread only.</summary>
    public void Begin() => Volatile.Write(ref _begun, _begun + 1);

    /// <summary>
    /// What a flush that begins now covers once it succeeds: every write so far where none is running, else no more than the last one did, as
    /// a flush owes nothing to a write that it overtook. The connection's thread only.
    /// </summary>
    public long BeginFlush(bool nothingRuns) => nothingRuns ? _begun : Volatile.Read(ref _flushed);

    /// <summary>A flush has succeeded; <paramref name="covered"/> is what it got from <see cref="BeginFlush"/>. Any thread.</summary>
    public void EndFlush(long covered)
    {
        long flushed = Volatile.Read(ref _flushed);
        while (covered > flushed)
        {
            long seen = Interlocked.CompareExchange(ref _flushed, covered, flushed);
            if (seen == flushed)
                return;
            flushed = seen;
        }
    }
}
