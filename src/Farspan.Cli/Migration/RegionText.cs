using Farspan.Migration;

namespace Farspan.Cli.Migration;

/// <summary>What a host is to a region, in words.</summary>
internal static class RegionText
{
    /// <summary>One word, also for scripts.</summary>
    public static string Of(RegionRole role) => role switch
    {
        RegionRole.Owner => "owner",
        RegionRole.HandedOver => "handed-over",
        RegionRole.Released => "released",
        RegionRole.Following => "following",
        RegionRole.Receiving => "receiving",
        RegionRole.GaveUp => "gave-up",
        _ => "none",
    };

    /// <summary>A sentence.</summary>
    public static string Explain(RegionRole role) => role switch
    {
        RegionRole.Owner => "all of the region is here, and only this host may write it",
        RegionRole.HandedOver => "another host owns the region, and still needs what is here; 'farspan seed' serves it",
        RegionRole.Released => "another host has all of the region; what is here may be deleted",
        RegionRole.Following => "another host owns the region, which is being copied; 'farspan leech' goes on with it",
        RegionRole.Receiving => "only this host may write the region, and some of it is still to come; 'farspan leech' goes on with it",
        RegionRole.GaveUp => "another host owns the region; it was to come here, and was given up",
        _ => "no region has been here",
    };
}
