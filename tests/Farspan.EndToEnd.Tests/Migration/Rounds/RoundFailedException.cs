namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>Something that must not be was seen.</summary>
internal sealed class RoundFailedException(string message) : Exception(message);
