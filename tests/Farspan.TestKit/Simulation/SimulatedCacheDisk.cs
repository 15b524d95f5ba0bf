using Farspan.Chunks;
using Farspan.Mounts.Caching;

namespace Farspan.TestKit.Simulation;

/// <summary>What outlives a killed process of a <see cref="SimulatedChunkCache"/>: its bytes and its notes.</summary>
internal sealed class SimulatedCacheDisk(ChunkLayout layout)
{
    public ChunkLayout Layout { get; } = layout;

    public byte[] Bytes { get; } = new byte[layout.Length];

    public HashSet<long> Whole { get; } = [];

    public HashSet<long> Zero { get; } = [];

    public Dictionary<long, RangeSet> Dirty { get; } = [];

    public Dictionary<long, uint> Clean { get; } = [];

    public CacheLease Lease { get; set; } = CacheLease.CreateNew();

    /// <summary>Whether the last opening came after a loss of power, so that clean chunks need proof.</summary>
    public bool NeedsProof { get; set; }

    public void Forget(long index)
    {
        Whole.Remove(index);
        Zero.Remove(index);
        Dirty.Remove(index);
        Clean.Remove(index);
    }
}
