namespace Farspan.Migration.Finalizing;

/// <summary>What one round told of the program's writes.</summary>
/// <param name="At">When the round was taken: the time since the copy of the session began.</param>
/// <param name="Length">Time since the round before it; for the first one, since the session began.</param>
/// <param name="ChangedBytes">Bytes of the chunks that changed in that time, whether they had been copied before or not.</param>
public readonly record struct WriteSample(TimeSpan At, TimeSpan Length, long ChangedBytes);
