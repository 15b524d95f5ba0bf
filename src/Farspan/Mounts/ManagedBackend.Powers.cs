using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Remotes;

namespace Farspan.Mounts;

/// <content>Extents, loans, and what can be seen of the mount's state.</content>
public sealed partial class ManagedBackend
{
    /// <summary>The state at this moment.</summary>
    public ManagedMountStatus Status
    {
        get
        {
            lock (_mount.Gate)
            {
                var map = _mount.Map;
                long local = Math.Min(Length, (map.WholeCount + map.ZeroCount) * _mount.Layout.ChunkSize);
                return new ManagedMountStatus
                {
                    State = _state,
                    Length = Length,
                    ChunkSize = _mount.Layout.ChunkSize,
                    LocalBytes = local,
                    DirtyBytes = map.DirtyBytes,
                    DirtyZeroBytes = Math.Min(Length, map.Zeroes.UnknownCount * _mount.Layout.ChunkSize),
                    PullingBytes = _puller.Window.InFlight,
                    PushingBytes = _pusher.Window.InFlight,
                    PulledBytes = _puller.Window.Delivered,
                    PushedBytes = _pusher.Window.Delivered,
                    PullRate = _puller.Window.Rate,
                    PushRate = _pusher.Window.Rate,
                    Outage = _mount.Outage.Current,
                    LastError = _mount.LastError,
                    LeaseEpoch = _lease?.Epoch,
                    IsFenced = _mount.IsFenced,
                };
            }
        }
    }

    /// <summary>
    /// What is local of a range, as runs from <paramref name="offset"/> on that touch each other: at most <paramref name="limit"/> of them, so
    /// that they may end before the range does.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>, or <paramref name="limit"/> is less than 1.</exception>
    public IReadOnlyList<MountRun> ListLocal(long offset, long length, int limit)
        => List(offset, length, limit, (long at, long left, out long run) =>
        {
            bool isLocal = _mount.Map.Look(at, left, out run) != ChunkPresence.Missing;
            return isLocal;
        });

    /// <summary>What is dirty of a range, as <see cref="ListLocal"/>: written here, or made zero, and not yet durable at the remote.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>, or <paramref name="limit"/> is less than 1.</exception>
    public IReadOnlyList<MountRun> ListDirty(long offset, long length, int limit)
        => List(offset, length, limit, _mount.Map.LookDirty);

    /// <inheritdoc/>
    /// <remarks>Of what is local it says itself, of the rest the remote, where it can and answers.</remarks>
    public async ValueTask ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(extents);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        Check(offset, length, cancellationToken);
        var found = new ExtentJoiner(extents, limit);
        for (long end = offset + length; offset < end && !found.IsFull;)
        {
            ChunkPresence presence;
            bool isAllocated;
            long run;
            lock (_mount.Gate)
            {
                presence = _mount.Map.Look(offset, end - offset, out run);
                isAllocated = presence == ChunkPresence.Zero && _mount.Map.Zeroes.AllocatedRun(offset, ref run, _mount.Layout);
            }

            if (presence == ChunkPresence.Missing && _mount.Remote.CanListExtents)
                run = await ListRemoteAsync(offset, run, limit, found, cancellationToken);
            else if (presence == ChunkPresence.Zero)
                found.Add(new Extent(offset, run, isAllocated ? ExtentKind.Zero : ExtentKind.Hole | ExtentKind.Zero));
            else
                found.Add(new Extent(offset, run, ExtentKind.Data));
            offset += run;
        }

        found.Finish();
    }

    /// <inheritdoc/>
    /// <remarks>Whole chunks of a cache in memory are lent.</remarks>
    public bool TryLend(long offset, int length, out LentMemory lent)
    {
        Check(offset, length, CancellationToken.None);
        lent = default;
        if (length == 0 || _memory is null || _evictor.HasLimit)
            return false;
        long run;
        lock (_mount.Gate)
            run = _mount.Map.WholeRun(offset, length);
        return run > 0 && _memory.TryLend(offset, (int)run, out lent);
    }

    private async ValueTask<long> ListRemoteAsync(long offset, long length, int limit, ExtentJoiner found, CancellationToken cancellationToken)
    {
        List<Extent> listed = [];
        try
        {
            if (!_mount.Outage.IsDown)
                listed = await _mount.Remote.ListExtentsAsync(offset, length, limit, cancellationToken);
        }
        catch (BackendException error) when (error.IsTransient)
        {
            // The line has told of it; what is not known is data.
        }

        // What is not known may be anything.
        if (listed.Count == 0)
            listed.Add(new Extent(offset, length, ExtentKind.Data));
        foreach (var extent in listed)
            found.Add(extent);
        return listed[^1].Offset + listed[^1].Length - offset;
    }

    private List<MountRun> List(long offset, long length, int limit, LookInMap look)
    {
        Check(offset, length, CancellationToken.None);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        var runs = new List<MountRun>();
        for (long end = offset + length; offset < end;)
        {
            bool isSet;
            long run;
            lock (_mount.Gate)
                isSet = look(offset, end - offset, out run);
            if (runs.Count > 0 && runs[^1].IsSet == isSet)
                runs[^1] = runs[^1] with { Length = runs[^1].Length + run };
            else if (runs.Count == limit)
                break;
            else
                runs.Add(new MountRun(offset, run, isSet));
            offset += run;
        }

        return runs;
    }

    private delegate bool LookInMap(long offset, long length, out long run);
}
