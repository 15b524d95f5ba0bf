using FsCheck;
using FsCheck.Fluent;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>What a random test of a region draws.</summary>
/// <param name="ChunkSize">Bytes of a chunk.</param>
/// <param name="Chunks">Chunks of the region; it has a little more.</param>
/// <param name="LimitChunks">Chunks that may be in memory; 0 for all.</param>
/// <param name="Failing">Of a hundred calls of the backend, how many fail.</param>
/// <param name="IsSlow">Whether the backend is at the end of a line.</param>
/// <param name="Seed">What its users do.</param>
internal sealed record RegionCase(int ChunkSize, int Chunks, int LimitChunks, int Failing, bool IsSlow, int Seed)
{
    public static readonly Gen<RegionCase> Cases =
        from shift in Gen.Choose(12, 16)
        from chunks in Gen.Choose(20, 100)
        from limit in Gen.Frequency((1, Gen.Constant(0)), (3, Gen.Choose(16, 40)))
        from failing in Gen.Frequency((1, Gen.Constant(0)), (2, Gen.Choose(1, 25)))
        from slow in Gen.Elements(true, false)
        from seed in Gen.Choose(0, 1_000_000)
        select new RegionCase(1 << shift, chunks, limit, failing, slow, seed);

    public int Length => (Chunks * ChunkSize) + 1536;
}
