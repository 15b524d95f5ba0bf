namespace Farspan.Migration.Finalizing;

/// <summary>Never asks for the hand-over by itself; somebody else does. Keeps little missing until then, by a round each interval.</summary>
public sealed class ManualFinalize : IFinalizePolicy
{
    private readonly TimeSpan _interval;

    /// <summary>A round each second.</summary>
    public ManualFinalize()
        : this(TimeSpan.FromSeconds(1))
    {
    }

    /// <param name="interval">Time between two rounds, more than 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The interval is not more than 0.</exception>
    public ManualFinalize(TimeSpan interval)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        _interval = interval;
    }

    /// <inheritdoc/>
    public FinalizeStep Next(in PreCopyProgress progress)
        => progress.MissingBytes > 0 ? FinalizeStep.Copy(FinalizeStep.LongestDelay) : RoundPace.Next(progress, _interval);
}
