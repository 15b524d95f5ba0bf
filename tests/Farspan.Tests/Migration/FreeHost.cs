using Farspan.Migration;

namespace Farspan.Tests.Migration;

/// <summary>A program that may run, or may not; what it does meanwhile is its own affair.</summary>
internal sealed class FreeHost : ISeederHost, ILeecherHost
{
    public bool IsRunning { get; private set; }

    public ValueTask SuspendAsync(CancellationToken cancellationToken)
    {
        IsRunning = false;
        return default;
    }

    public ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        IsRunning = true;
        return default;
    }
}
