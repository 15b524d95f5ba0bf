using System.Globalization;

namespace Farspan.Linux.Migration;

/// <summary>What a program is suspended or resumed for.</summary>
/// <param name="Target">Where the program finds the region.</param>
/// <param name="Region">Which region.</param>
/// <param name="Epoch">The number of its ownership, which each hand-over raises.</param>
internal sealed record HookSubject(string Target, Guid Region, long Epoch)
{
    /// <summary>What a command finds in its environment, each as <c>NAME=value</c>.</summary>
    /// <param name="happening"><c>suspend</c> or <c>resume</c>.</param>
    public IReadOnlyList<string> Variables(string happening) =>
    [
        $"FARSPAN_EVENT={happening}", $"FARSPAN_TARGET={Target}", $"FARSPAN_REGION={Region}",
        string.Create(CultureInfo.InvariantCulture, $"FARSPAN_EPOCH={Epoch}"),
    ];
}
