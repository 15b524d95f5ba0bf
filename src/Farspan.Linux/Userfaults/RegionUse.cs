namespace Farspan.Linux.Userfaults;

/// <summary>What a part of a region is held for.</summary>
internal enum RegionUse
{
    Reading,

    /// <summary>It may be written as long as it is held.</summary>
    Writing,
}
