using Microsoft.Win32.SafeHandles;

namespace Farspan.Backends.Directories;

/// <summary>A chunk's file while it is open. All fields but <see cref="Handle"/>, which its users read, belong to <see cref="ChunkFiles"/>' lock.</summary>
internal sealed class ChunkFile(long index)
{
    /// <summary>The chunk.</summary>
    public long Index { get; } = index;

    /// <summary>The open file; null while it is being opened.</summary>
    public SafeFileHandle? Handle { get; set; }

    /// <summary>How many are using it.</summary>
    public int Users { get; set; }

    /// <summary>It is being opened, closed or deleted: whoever wants it waits.</summary>
    public bool IsBusy { get; set; }

    /// <summary>Counts the writes that have completed.</summary>
    public long Written { get; set; }

    /// <summary>What <see cref="Written"/> was when the last fsync that succeeded began.</summary>
    public long Synced { get; set; }

    /// <summary>Its place among those that nobody uses; null while somebody does.</summary>
    public LinkedListNode<ChunkFile>? Idle { get; set; }

    /// <summary>Whether there are writes that no fsync has made durable.</summary>
    public bool IsDirty => Written != Synced;
}
