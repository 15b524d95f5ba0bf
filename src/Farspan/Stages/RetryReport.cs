using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>One retry of a call.</summary>
/// <param name="Operation">What is tried again.</param>
/// <param name="Offset">First byte of the range; 0 for a flush.</param>
/// <param name="Length">Bytes of the range; 0 for a flush.</param>
/// <param name="Retry">1 for the first time that it is tried again.</param>
/// <param name="Delay">The time until then.</param>
/// <param name="Failure">What went wrong the last time.</param>
public readonly record struct RetryReport(
    BackendOperation Operation, long Offset, long Length, int Retry, TimeSpan Delay, BackendException Failure);
