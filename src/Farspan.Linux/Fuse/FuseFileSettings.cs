namespace Farspan.Linux.Fuse;

/// <summary>What a <see cref="FuseFileServer"/> shows and grants.</summary>
internal sealed record FuseFileSettings
{
    /// <summary>The file's name in the root directory; null where the root is the file.</summary>
    public byte[]? FileName { get; init; }

    public required bool IsReadOnly { get; init; }

    /// <summary>Permission bits.</summary>
    public required uint Mode { get; init; }

    public required uint OwnerId { get; init; }

    public required uint GroupId { get; init; }

    /// <summary>Longest READ and WRITE in bytes; a multiple of the page size.</summary>
    public required int MaximumRequestLength { get; init; }

    /// <summary>
    /// Bytes of payload that a request must have room for. The kernel reads nothing into less than 8 KiB, and asks for whole pages, however
    /// short requests are to be.
    /// </summary>
    public int RequestCapacity => Math.Max(MaximumRequestLength, Math.Max(8192, Environment.SystemPageSize));

    /// <summary>Requests that the kernel may have under way on its own account: read-ahead, write-back, asynchronous direct I/O.</summary>
    public required int MaximumBackground { get; init; }

    public required bool UseWritebackCache { get; init; }

    /// <summary>Whether opening with O_TRUNC succeeds and changes nothing, as on a block device.</summary>
    public required bool IgnoreOpenTruncation { get; init; }

    public required TimeProvider Clock { get; init; }
}
