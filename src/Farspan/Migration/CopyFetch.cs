using Farspan.Backends;
using Farspan.Waiting;

namespace Farspan.Migration;

/// <summary>A run of chunks on its way from the seeder.</summary>
internal sealed class CopyFetch(long firstChunk, long count, SeederRequest request)
{
    public long FirstChunk => firstChunk;

    public long Count => count;

    /// <summary>The request under which it is made, and whose reply alone counts.</summary>
    public SeederRequest Request => request;

    /// <summary>Set when it has ended, however.</summary>
    public Signal Done { get; } = new();

    /// <summary>Why nothing came.</summary>
    public BackendException? Failure { get; set; }
}
