using Farspan.Backends;

namespace Farspan.Mounts;

/// <content>What is local and what is dirty, for whoever asks for the mount's maps by name: an NBD client, say.</content>
public sealed partial class ManagedBackend : IStateMaps
{
    /// <summary>The map of what is local, as <see cref="ListLocal"/> lists it: 1 where a read needs no remote.</summary>
    public const string LocalMap = "local";

    /// <summary>The map of what is dirty, as <see cref="ListDirty"/> lists it: 1 where the remote does not have what was written, for certain.</summary>
    public const string DirtyMap = "dirty";

    /// <inheritdoc/>
    public IReadOnlyList<string> MapNames { get; } = [LocalMap, DirtyMap];

    /// <inheritdoc/>
    public ValueTask ListStatesAsync(
        string mapName, long offset, long length, int limit, ICollection<StateRun> runs, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(runs);
        cancellationToken.ThrowIfCancellationRequested();
        var listed = mapName switch
        {
            LocalMap => ListLocal(offset, length, limit),
            DirtyMap => ListDirty(offset, length, limit),
            _ => throw new ArgumentException($"A managed mount has no map '{mapName}'.", nameof(mapName)),
        };
        foreach (var run in listed)
            runs.Add(new StateRun(run.Offset, run.Length, run.IsSet ? 1u : 0u));
        return ValueTask.CompletedTask;
    }
}
