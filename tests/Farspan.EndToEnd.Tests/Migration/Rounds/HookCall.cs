namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>What a hook was called for.</summary>
/// <param name="Host">Where.</param>
/// <param name="Start">Which start of the program there has called it.</param>
/// <param name="Event"><c>suspend</c> or <c>resume</c>.</param>
/// <param name="Epoch">The ownership that it was told.</param>
internal sealed record HookCall(string Host, int Start, string Event, long Epoch);
