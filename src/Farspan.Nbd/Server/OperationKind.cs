namespace Farspan.Nbd.Server;

/// <summary>What an <see cref="Operation"/> has the backend do.</summary>
internal enum OperationKind
{
    /// <summary>Nothing by itself: it ends when its pieces have.</summary>
    Join,

    Read,
    Write,
    Flush,
    Trim,
    Zero,

    /// <summary>Zeroes for a backend that has no other way than to write them.</summary>
    ZeroByWriting,

    Cache,
    BlockStatus,
}
