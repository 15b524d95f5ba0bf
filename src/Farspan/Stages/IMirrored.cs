namespace Farspan.Stages;

/// <summary>The power to say whether a second store has all that a store has.</summary>
internal interface IMirrored
{
    /// <summary>Whether the second store was brought in line: from then on whatever a flush covered is in both.</summary>
    bool IsInLine { get; }
}
