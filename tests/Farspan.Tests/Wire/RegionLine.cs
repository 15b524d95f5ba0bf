namespace Farspan.Tests.Wire;

/// <summary>What a test goes over.</summary>
public enum RegionLine
{
    Unix,
    Tcp,
    Tls,
}
