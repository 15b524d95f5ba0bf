namespace Farspan.Chunks;

/// <summary>A run of chunks that became zero.</summary>
/// <param name="FirstChunk">The first of them.</param>
/// <param name="Count">How many.</param>
/// <param name="From">The number of the write that made them so.</param>
/// <param name="Kind">How the remote is told.</param>
/// <param name="PushedAt">The number of the push that told the remote.</param>
internal readonly record struct ZeroRun(long FirstChunk, long Count, long From, ZeroKind Kind, long PushedAt)
{
    public bool Meets(long firstChunk, long count) => FirstChunk < firstChunk + count && firstChunk < FirstChunk + Count;
}
