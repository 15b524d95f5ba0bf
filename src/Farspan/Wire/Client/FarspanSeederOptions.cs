namespace Farspan.Wire.Client;

/// <summary>How a <see cref="FarspanSeeder"/> works, besides its connections.</summary>
internal sealed record FarspanSeederOptions
{
    /// <summary>
    /// Time for a call that is asked, while the server shows signs of life: a source may have to suspend its program. Default: 5 min. More than zero.
    /// </summary>
    public TimeSpan AskTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Ask for compressed bytes, for lines that are slower than a processor compresses. Default: false.</summary>
    public bool Compresses { get; init; }

    /// <exception cref="ArgumentOutOfRangeException">A value is out of its bounds.</exception>
    public FarspanSeederOptions Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(AskTimeout, TimeSpan.Zero);
        return this;
    }
}
