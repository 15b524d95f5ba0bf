namespace Farspan.Migration.Finalizing;

/// <summary>How far the copy of a region is, while the program still runs at its source.</summary>
/// <param name="Elapsed">Time since the copy of this session began.</param>
/// <param name="Rounds">Rounds taken in this session. None: nothing is known yet of what the program writes.</param>
/// <param name="RegionBytes">Length of the region.</param>
/// <param name="MissingBytes">Bytes of chunks that are known to be missing or to have changed, now. What changed since the last round is not known, and not in it.</param>
/// <param name="SentBytes">Bytes of chunks that were received in this session, also those that changed afterwards.</param>
/// <param name="BytesPerSecond">The rate of the copy as it was measured lately while there was something to copy; 0 where it is not known.</param>
/// <param name="RoundTrip">The shortest time a call took in this session; 0 where it is not known.</param>
/// <param name="Samples">One for each of the latest rounds, the oldest first; at most some hundreds.</param>
public readonly record struct PreCopyProgress(
    TimeSpan Elapsed,
    int Rounds,
    long RegionBytes,
    long MissingBytes,
    long SentBytes,
    double BytesPerSecond,
    TimeSpan RoundTrip,
    IReadOnlyList<WriteSample> Samples);
