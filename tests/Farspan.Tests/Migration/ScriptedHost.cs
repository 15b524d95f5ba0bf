using Farspan.Migration;

namespace Farspan.Tests.Migration;

/// <summary>A program that is suspended and resumed as a test says.</summary>
internal sealed class ScriptedHost : ISeederHost
{
    /// <summary>What the next suspension fails with.</summary>
    public Exception? Failure { get; set; }

    /// <summary>What suspensions wait for, as long as they are given time; null for nothing.</summary>
    public Task? Suspension { get; set; }

    public bool IsRunning { get; private set; } = true;

    public int Resumptions { get; private set; }

    public async ValueTask SuspendAsync(CancellationToken cancellationToken)
    {
        if (Failure is { } failure)
        {
            Failure = null;
            throw failure;
        }

        if (Suspension is { } suspension)
            await suspension.WaitAsync(cancellationToken);
        IsRunning = false;
    }

    public ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        IsRunning = true;
        Resumptions++;
        return default;
    }
}
