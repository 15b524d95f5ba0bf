using Farspan.Mounts;

namespace ManagedPath;

/// <summary>Shows how far a mount is, at most five times a second.</summary>
internal sealed class ProgressToError : IProgress<ManagedMountStatus>
{
    public void Report(ManagedMountStatus value)
        => Console.Error.WriteLine($"progress: {value.LocalBytes} of {value.Length} bytes are local, {value.DirtyBytes} dirty");
}
