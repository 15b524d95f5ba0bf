using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>A message on its way. Nobody knows when it arrives, whether, and how often.</summary>
/// <param name="Leecher">The host that asks, or gets the reply.</param>
/// <param name="IsReply">Whether it is a reply.</param>
/// <param name="Request">The request, also with its reply.</param>
/// <param name="Reply">The reply.</param>
/// <param name="Value">The chunk's bytes, with <see cref="SeederAnswer.Bytes"/>.</param>
/// <param name="IsListed">Whether the list that goes with the reply names the chunk.</param>
internal readonly record struct ModelNote(
    byte Leecher, bool IsReply, SeederRequest Request, SeederReply Reply = default, byte Value = 0, bool IsListed = false);
