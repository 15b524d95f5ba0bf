namespace Farspan.TestKit.Fsx;

/// <summary>The file did not hold what the model holds; the message carries the seed and the last operations.</summary>
public sealed class FsxFailedException(string message) : Exception(message);
