namespace Farspan.Backends;

/// <summary>What is known of an extent; combinable. The values are those of NBD's <c>base:allocation</c>.</summary>
[Flags]
public enum ExtentKind
{
    /// <summary>Allocated, contents unknown.</summary>
    Data = 0,

    /// <summary>Not allocated.</summary>
    Hole = 1,

    /// <summary>Reads as zero.</summary>
    Zero = 2,
}
