namespace Farspan.Linux.Migration;

/// <summary>Where a region is in its life on one host.</summary>
/// <param name="Role">What this host is to it, durably.</param>
/// <param name="Region">Which region; empty where this host does not know yet.</param>
/// <param name="Epoch">The number of its ownership, which each hand-over raises.</param>
/// <param name="Length">Bytes of the region.</param>
/// <param name="MissingBytes">Bytes that are not here.</param>
/// <param name="ReceivedBytes">Bytes that came of another host, those that changed meanwhile and came again counted again.</param>
/// <param name="HandOverTime">From the request for the hand-over until the program could run here; null where the region did not come in this run.</param>
/// <param name="Trouble">What failed last and is tried again; null where nothing did.</param>
public sealed record MigrationStatus(
    MigrationRole Role, Guid Region, long Epoch, long Length, long MissingBytes, long ReceivedBytes, TimeSpan? HandOverTime, string? Trouble);
