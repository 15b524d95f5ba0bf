using Farspan.Migration;

namespace Farspan.Tests.Migration;

/// <summary>A program that is suspended and resumed as a test says.</summary>
internal sealed class ScriptedHost : ISeederHost
{
    /// <summary>What the next suspension fails with.</summary>
    public Exception? Failure { get; set; }

    public bool IsRunning { get; private set; } = true;

    public int Resumptions { get; private set; }

    public ValueTask SuspendAsync(CancellationToken cancellationToken)
    {
        if (Failure is { } failure)
        {
            Failure = null;
            throw failure;
        }

        IsRunning = false;
        return default;
    }

    public ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        IsRunning = true;
        Resumptions++;
        return default;
    }
}
