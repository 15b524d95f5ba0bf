namespace Farspan.Linux.Files;

/// <summary>What was found out about an open file.</summary>
internal sealed record FileFacts
{
    /// <summary>The path, for messages.</summary>
    public required string Path { get; init; }

    /// <summary>Number of bytes.</summary>
    public required long Length { get; init; }

    /// <summary>Whether it is open for reading only.</summary>
    public required bool IsReadOnly { get; init; }

    /// <summary>Whether it is a block device.</summary>
    public required bool IsBlockDevice { get; init; }

    /// <summary>Whether it lies in memory (tmpfs, ramfs), so that no call on it waits for a disk.</summary>
    public required bool IsInMemory { get; init; }

    /// <summary>Whether ranges can be given up (fallocate with FALLOC_FL_PUNCH_HOLE).</summary>
    public required bool CanPunch { get; init; }

    /// <summary>Whether holes can be asked for (lseek with SEEK_HOLE).</summary>
    public required bool CanSeekHoles { get; init; }

    /// <summary>What offsets and lengths are multiples of where the page cache is gone around; 0 where it is not.</summary>
    public required int DirectAlignment { get; init; }

    /// <summary>What buffers start at a multiple of, likewise.</summary>
    public required int DirectMemoryAlignment { get; init; }

    /// <summary>What ranges given to fallocate are multiples of.</summary>
    public int AllocationAlignment => IsBlockDevice ? 4096 : 1;
}
