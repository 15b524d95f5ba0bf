namespace Farspan.Chunks;

/// <summary>How a remote is told of chunks that became zero here.</summary>
internal enum ZeroKind
{
    /// <summary>They may be given up.</summary>
    Trim,

    /// <summary>They read as zero.</summary>
    Zero,

    /// <summary>They read as zero and stay allocated.</summary>
    ZeroAllocated,
}
