using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching;
using Farspan.Mounts.Pulling;
using Farspan.Mounts.Pushing;

namespace Farspan.Mounts;

/// <summary>
/// A managed mount as a backend: what was read or written is local, the rest is pulled from the remote in the background and whenever it is
/// needed, and what was written is pushed there. Every attachment of a managed mount (a file, a block device, memory) serves this.
/// </summary>
/// <remarks>
/// <para>A read of local bytes, and a write wherever it goes, need no round trip. A read always sees the latest write that has completed,
/// whatever is being pulled or pushed. A flush that completes makes everything written before durable, at the remote unless the options say
/// otherwise (<see cref="FlushMode"/>).</para>
/// <para>While the remote does not answer, everything local goes on; calls that need it wait or fail as the options say.</para>
/// <para>All members may be called from any thread at any time. The pulls and pushes run on the task scheduler that the mount was opened on.</para>
/// </remarks>
public sealed partial class ManagedBackend : IBackend, ITrim, IZero, IExtentSource, IBlockSizes, IMemoryLender, IConcurrentWriters
{
    private readonly MountCore _mount;
    private readonly IBackend _remote;
    private readonly ILease? _lease;
    private readonly Puller _puller;
    private readonly Pusher _pusher;
    private readonly Evictor _evictor;
    private readonly MemoryChunkCache? _memory;
    private Task<MountCloseReport>? _closing;
    private volatile MountState _state;

    private ManagedBackend(IBackend remote, IBackend bytes, ILease? lease, IChunkCache cache, ManagedMountOptions options)
    {
        _remote = remote;
        _lease = lease;
        _mount = new MountCore(bytes, cache, options);
        _memory = cache as MemoryChunkCache;
        _evictor = new Evictor(_mount);
        _puller = new Puller(_mount, _evictor);
        _pusher = new Pusher(_mount);
        IsReadOnly = bytes.IsReadOnly;
        BlockSizes = new BlockSizes(1, Math.Max(4096, Math.Min(options.ChunkSize, 1 << 20)), BlockSizes.Default.Maximum);
        _evictor.IsStuck = _pusher.Urge;
        _pusher.GiveUpPart = _puller.GiveUpPartAsync;
        _pusher.IsLineWanted = () => _puller.IsDemanded;
        _puller.IsPushing = () => _pusher.Window.InFlight > 0;
        _puller.DemandEnded = _pusher.Wake;
        _mount.Outage.Ended = () =>
        {
            _puller.Wake();
            _pusher.Wake();
        };
    }

    /// <inheritdoc/>
    public long Length => _mount.Layout.Length;

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public BlockSizes BlockSizes { get; }

    /// <summary>Where the mount is in its life.</summary>
    public MountState State => _state;

    /// <inheritdoc/>
    /// <exception cref="BackendException">What is missing could not be pulled: the remote's failure, or an outage that lasted too long
    /// (<see cref="BackendError.TimedOut"/>).</exception>
    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length, cancellationToken);
        for (int done = 0; done < buffer.Length;)
        {
            int read = await ReadHereAsync(offset + done, buffer[done..], cancellationToken);
            done += read;
            if (done < buffer.Length)
                await DemandAsync(offset + done, buffer.Length - done, offset, buffer.Length, cancellationToken);
            else if (_mount.Map.WholeCount + _mount.Map.ZeroCount < _mount.Layout.ChunkCount)
                _puller.Observe(offset, buffer.Length);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="BackendException">The cache failed; or the lease was lost (<see cref="BackendError.Fenced"/>); or more is dirty than may
    /// be, and cannot be pushed.</exception>
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        CheckChange(offset, buffer.Length, cancellationToken);
        if (buffer.IsEmpty)
            return;
        await _pusher.AdmitAsync(buffer.Length, cancellationToken);
        long firstChunk = _mount.Layout.IndexOf(offset);
        long lastChunk = _mount.Layout.IndexOf(offset + buffer.Length - 1);
        if (_evictor.HasLimit)
            await _evictor.MakeRoomAsync(lastChunk - firstChunk + 1);
        var hold = await _mount.Locks.AcquireAsync(firstChunk, lastChunk, exclusive: true, cancellationToken);
        try
        {
            // Not cancelled from here on: half of a write, of a chunk that is not here, could not be told from the remote's bytes.
            await WriteHeldAsync(offset, buffer, firstChunk, lastChunk);
        }
        finally
        {
            _mount.Locks.Release(hold);
        }

        _pusher.Written(buffer.Length);
    }

    /// <inheritdoc/>
    /// <remarks>What it means is in <see cref="ManagedMountOptions.Flush"/>.</remarks>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        ThrowIfOver();
        if (_mount.Options.Flush == FlushMode.Local)
            return _mount.Cache.FlushAsync(cancellationToken);
        return _mount.Options.OnOutage == OutageBehavior.ServeLocal ? FlushWhereItCanBeAsync(cancellationToken) : _pusher.FlushAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim) && !_mount.Remote.CanTrim && !_mount.Remote.CanZero)
            return null;
        if (typeof(TCapability) == typeof(IMemoryLender) && (_memory is null || _evictor.HasLimit))
            return null;
        return this as TCapability;
    }

    private async ValueTask FlushWhereItCanBeAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (!_mount.Outage.IsDown)
            {
                await _pusher.FlushAsync(cancellationToken);
                return;
            }
        }
        catch (BackendException error) when (error.IsTransient)
        {
            // An outage began meanwhile: as if it had been there before.
        }

        await _mount.Cache.FlushAsync(cancellationToken);
    }

    /// <summary>Reads as much as is here from the start of a range on.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadHereAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (buffer.IsEmpty)
            return 0;
        long firstChunk = _mount.Layout.IndexOf(offset);
        long lastChunk = _mount.Layout.IndexOf(offset + buffer.Length - 1);
        if (_mount.Unproven.IsAny)
            await _mount.Unproven.ProveAsync(firstChunk, lastChunk);
        var hold = await _mount.Locks.AcquireAsync(firstChunk, lastChunk, exclusive: false, cancellationToken);
        try
        {
            int done = 0;
            while (done < buffer.Length)
            {
                ChunkPresence presence;
                long run;
                lock (_mount.Gate)
                    presence = _mount.Map.Look(offset + done, buffer.Length - done, out run);
                if (presence == ChunkPresence.Missing)
                    break;
                var part = buffer.Slice(done, (int)run);
                if (presence == ChunkPresence.Zero)
                    part.Span.Clear();
                else
                    await _mount.Cache.ReadAsync(offset + done, part, cancellationToken);
                done += (int)run;
            }

            if (done > 0)
                _evictor.Touch(firstChunk, _mount.Layout.IndexOf(offset + done - 1) - firstChunk + 1);
            return done;
        }
        finally
        {
            _mount.Locks.Release(hold);
        }
    }

    /// <summary>Waits for the first missing chunk of a read, and has pulled what else it needs and what comes after it.</summary>
    private async ValueTask DemandAsync(long offset, int length, long readOffset, int readLength, CancellationToken cancellationToken)
    {
        long chunkIndex = _mount.Layout.IndexOf(offset);
        _evictor.Pin(chunkIndex);
        try
        {
            var demand = _puller.DemandAsync(offset, length, cancellationToken);
            _puller.Observe(readOffset, readLength);
            await demand;
        }
        finally
        {
            _evictor.Unpin(chunkIndex);
        }
    }

    private void Check(long offset, long length, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ThrowIfOver();
        BackendRange.Check(_mount.Layout.Length, offset, length);
    }

    private void CheckChange(long offset, long length, CancellationToken cancellationToken)
    {
        Check(offset, length, cancellationToken);
        if (IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, "The remote is read-only.");
        if (_mount.IsFenced)
            throw MountCore.Fenced();
    }

    private void ThrowIfOver() => ObjectDisposedException.ThrowIf(_state >= MountState.Closed, this);
}
