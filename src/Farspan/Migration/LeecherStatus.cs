namespace Farspan.Migration;

/// <summary>How far a move has come, as its destination sees it.</summary>
/// <param name="Role">What this host is to the region.</param>
/// <param name="RegionBytes">Bytes of the region.</param>
/// <param name="MissingBytes">Bytes that are not here, or that are not known to be the region's.</param>
/// <param name="ReceivedBytes">Bytes that were read of the seeder, those that changed since and came again counted again.</param>
/// <param name="FoundBytes">Bytes that were here, or in another source, and had only to be compared.</param>
/// <param name="VerifiedBytes">Bytes compared once more at the end.</param>
/// <param name="Rounds">Rounds taken of the session.</param>
/// <param name="BytesPerSecond">What the line brings, of late; 0 where nothing is known.</param>
/// <param name="HandOverTime">From the request for the hand-over until the program ran here; null before.</param>
internal readonly record struct LeecherStatus(
    RegionRole Role, long RegionBytes, long MissingBytes, long ReceivedBytes, long FoundBytes, long VerifiedBytes, int Rounds, double BytesPerSecond,
    TimeSpan? HandOverTime);
