namespace Farspan.Mounts.Pulling;

/// <summary>A reader whose steps follow each other, as <see cref="ReadAhead"/> sees it.</summary>
internal sealed class ReadStream
{
    /// <summary>Where its next read is expected.</summary>
    public long Next { get; set; }

    /// <summary>Up to where pulls were asked for.</summary>
    public long Ahead { get; set; }

    /// <summary>How far ahead of it to pull.</summary>
    public long Distance { get; set; }

    /// <summary>Where the distance grows again.</summary>
    public long GrowAt { get; set; }

    /// <summary>When it was last used.</summary>
    public long Used { get; set; }

    public bool IsActive => Distance > 0;

    public bool Wants(long end) => IsActive && Ahead < Math.Min(end, Next + Distance);
}
