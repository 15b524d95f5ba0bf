namespace Farspan.Figures.Policies.Model;

/// <summary>The network between the hosts.</summary>
/// <param name="BytesPerSecond">What it carries.</param>
/// <param name="RoundTrip">In seconds.</param>
internal sealed record LineModel(double BytesPerSecond, double RoundTrip);
