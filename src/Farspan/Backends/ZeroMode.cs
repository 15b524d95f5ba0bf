namespace Farspan.Backends;

/// <summary>How a range is made to read as zero; combinable.</summary>
[Flags]
public enum ZeroMode
{
    /// <summary>Storage may be given up (a hole), and it may take as long as writing zeroes does. The default.</summary>
    None = 0,

    /// <summary>Storage stays allocated: a later write into the range cannot fail for lack of space (NBD's NO_HOLE).</summary>
    KeepAllocated = 1,

    /// <summary>Fail at once with <see cref="BackendError.NotSupported"/> where it would be no faster than writing zeroes (NBD's FAST_ZERO).</summary>
    FastOnly = 2,
}
