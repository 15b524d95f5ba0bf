namespace Farspan.Migration;

/// <summary>A seeder's reply, as far as the rules care.</summary>
/// <param name="Answer">What it says.</param>
/// <param name="Region">The region.</param>
/// <param name="Epoch">Of the ownership: the seeder's, or with <see cref="SeederAnswer.Yours"/> the leecher's new one.</param>
/// <param name="Session">The recording that began, with <see cref="SeederAnswer.Tracking"/>.</param>
/// <param name="Round">The round, with <see cref="SeederAnswer.Round"/>.</param>
/// <param name="IsExact">
/// With <see cref="SeederAnswer.Yours"/>: a list of what changed since the leecher's last round goes with it. Else nothing is known of what
/// changed, and every chunk has to be compared.
/// </param>
internal readonly record struct SeederReply(
    SeederAnswer Answer, Guid Region = default, long Epoch = 0, long Session = 0, int Round = 0, bool IsExact = false);
