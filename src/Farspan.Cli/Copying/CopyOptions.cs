namespace Farspan.Cli.Copying;

/// <summary>How a copy is made. Immutable.</summary>
internal sealed record CopyOptions
{
    private readonly int _requestSize = 1 << 20;
    private readonly int _requestsInFlight = 16;

    /// <summary>Bytes of one request where both backends allow it. Default: 1 MiB. From 4 KiB to 32 MiB, a power of two.</summary>
    public int RequestSize
    {
        get => _requestSize;
        init => _requestSize = value is >= 4096 and <= 32 << 20 && int.IsPow2(value)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "Give a power of two from 4 KiB to 32 MiB.");
    }

    /// <summary>Requests that may run at once; with <see cref="RequestSize"/> it bounds the memory. Default: 16. From 1 to 256.</summary>
    public int RequestsInFlight
    {
        get => _requestsInFlight;
        init => _requestsInFlight = value is >= 1 and <= 256
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "Give 1 to 256 requests.");
    }

    /// <summary>Send no zeroes: what reads as zero is zeroed at the destination, or left out where it is zero there. Default: true.</summary>
    public bool Sparse { get; init; } = true;

    /// <summary>Read the destination first and write only what differs. Default: false.</summary>
    public bool OnlyChanges { get; init; }
}
