namespace Farspan.TestKit.Contracts;

/// <summary>What a step of a model run does to a backend.</summary>
public enum ModelOperationKind
{
    Read,
    Write,
    Flush,
    Trim,
    Zero,
    ZeroKeepAllocated,
    ZeroFastOnly,
    ListExtents,
    Lend,
}
