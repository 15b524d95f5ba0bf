namespace Farspan.Linux.Files;

/// <summary>
/// Says whether a write into the page cache is likely to return at once. Where the kernel makes writers wait for the disk, a caller's thread
/// would wait with them, and with it every other request that it serves: writes then go elsewhere for a while.
/// </summary>
/// <remarks>All members may be called from any thread.</remarks>
internal sealed class WriteStalls(TimeProvider clock)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly long _patience = (long)(Patience.TotalSeconds * clock.TimestampFrequency);
    private readonly long _pause = (long)(Pause.TotalSeconds * clock.TimestampFrequency);
    private long _stalledAt = long.MinValue / 2;

    /// <summary>Whether no write has stalled lately.</summary>
    public bool MayWriteInline => clock.GetTimestamp() - Volatile.Read(ref _stalledAt) >= _pause;

    /// <summary>A write begins; give the result to <see cref="End"/>.</summary>
    public long Start() => clock.GetTimestamp();

    /// <summary>A write has ended.</summary>
    public void End(long started)
    {
        long now = clock.GetTimestamp();
        if (now - started > _patience)
            Volatile.Write(ref _stalledAt, now);
    }
}
