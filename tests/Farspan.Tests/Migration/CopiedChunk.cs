namespace Farspan.Tests.Migration;

/// <summary>A chunk at a simulated destination.</summary>
/// <param name="Bytes">Its bytes.</param>
/// <param name="State">0 unproven, 1 of the session, 2 the region's.</param>
internal readonly record struct CopiedChunk(byte[] Bytes, int State);
