namespace Farspan.Tests.Migration;

/// <summary>One life of the host that a simulated region goes to.</summary>
internal interface ISimulatedTarget
{
    /// <summary>Whether the program may write at any moment.</summary>
    bool IsRunning { get; }

    /// <summary>Whether the region has moved here, or never will.</summary>
    bool IsDone { get; }

    /// <summary>Whether all of it is here, and the source has let go.</summary>
    bool HasMoved { get; }

    /// <summary>Whether a crash leaves exactly what was flushed.</summary>
    bool KeepsOnlyWhatWasFlushed { get; }

    Task<byte[]> ReadAllAsync();

    void Kill();

    Task StartAsync();

    /// <summary>The next life, with what this one left.</summary>
    ISimulatedTarget Next();
}
