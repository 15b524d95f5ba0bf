using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.TestKit.Simulation;

/// <summary>A backend that tells states of bytes by maps that a test gives, each as the runs of a range, however many.</summary>
public sealed class MappedBackend(IBackend inner, params (string Name, Func<long, long, IEnumerable<StateRun>> Runs)[] maps) : Stage(inner), IStateMaps
{
    /// <inheritdoc/>
    public IReadOnlyList<string> MapNames => [.. maps.Select(map => map.Name)];

    /// <summary>Whether the runs come later, on another thread.</summary>
    public bool AnswersLater { get; init; }

    /// <summary>Runs of equal length whose flags are 0 and 1 in turn, from the start of the backend on.</summary>
    public static Func<long, long, IEnumerable<StateRun>> Stripes(long each) => (offset, length) => Cut(offset, length, each);

    /// <inheritdoc/>
    public async ValueTask ListStatesAsync(
        string mapName, long offset, long length, int limit, ICollection<StateRun> runs, CancellationToken cancellationToken = default)
    {
        if (AnswersLater)
            await Task.Yield();
        foreach (var run in maps.Single(map => map.Name == mapName).Runs(offset, length).Take(limit))
            runs.Add(run);
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(IStateMaps) ? this as TCapability : Inner.GetCapability<TCapability>();

    private static IEnumerable<StateRun> Cut(long offset, long length, long each)
    {
        for (long end = offset + length; offset < end;)
        {
            long run = Math.Min(end, ((offset / each) + 1) * each) - offset;
            yield return new StateRun(offset, run, (uint)(offset / each % 2));
            offset += run;
        }
    }
}
