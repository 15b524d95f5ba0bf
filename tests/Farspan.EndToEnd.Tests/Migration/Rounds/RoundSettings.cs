using Farspan.TestKit;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>What is the same in all rounds of a test.</summary>
internal sealed class RoundSettings
{
    private readonly List<string> _notes = [];

    /// <summary>The URI of the store behind the region.</summary>
    public required string Behind { get; init; }

    /// <summary>As <c>--chunk</c> takes it.</summary>
    public required string Chunk { get; init; }

    /// <summary>Throws where something was seen that must not be.</summary>
    public required Action Look { get; init; }

    public RoundFigures Figures { get; } = new();

    /// <summary>What happened in this round, with the time.</summary>
    public IReadOnlyList<string> Notes => _notes;

    public void Note(string what) => _notes.Add($"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff} {what}");

    public void Forget() => _notes.Clear();

    /// <summary>Waits, and looks.</summary>
    public Task UntilAsync(Func<bool> condition) => Eventually.HoldsAsync(() =>
    {
        Look();
        return condition();
    });
}
