using Farspan.Backends;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>
/// A backend that a Farspan server serves by Farspan's own wire, with the powers that the server's has, and its lease. All members may be called
/// from any thread at any time.
/// </summary>
/// <remarks>
/// <para>After a lost connection requests wait up to <see cref="FarspanClientOptions.ReconnectTimeout"/> for the server to come back. The server
/// says whether it is still the same process: then nothing is lost. A new one is first given again what was written and not flushed.</para>
/// <para>A request that is cancelled or times out may still be carried out by the server.</para>
/// </remarks>
public sealed class FarspanClientBackend : IBackend, ITrim, IZero, IExtentSource, IBlockSizes, IConcurrentWriters, ILeasing
{
    /// <summary>With checksums, what is longer goes in pieces, which stay in the processor's cache between a copy and a checksum.</summary>
    private const int LargestChecked = 256 << 10;

    private readonly WireLink _link;
    private readonly LinkSupervisor _supervisor;
    private readonly ServerHello _hello;
    private readonly int _maximumPayload;
    private volatile bool _isDisposed;

    private FarspanClientBackend(WireLink link, LinkSupervisor supervisor)
    {
        _link = link;
        _supervisor = supervisor;
        _hello = link.Hello;
        int longest = link.HasChecksums ? Math.Min(_hello.MaximumPayload, LargestChecked) : _hello.MaximumPayload;
        _maximumPayload = Math.Max(_hello.MinimumBlock, longest / _hello.MinimumBlock * _hello.MinimumBlock);
        BlockSizes = new BlockSizes(_hello.MinimumBlock, _hello.PreferredBlock, _hello.MaximumBlock);
        IsReadOnly = link.Options.ReadOnly || Has(WireCapabilities.ReadOnly);
    }

    /// <inheritdoc/>
    public long Length => _hello.Length;

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public BlockSizes BlockSizes { get; }

    /// <inheritdoc/>
    public bool CanZeroFast => Has(WireCapabilities.FastZero);

    /// <summary>Connects to a server.</summary>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">The server cannot be reached, has no such export, or refuses; or the export is a region that is being moved.</exception>
    public static async ValueTask<FarspanClientBackend> ConnectAsync(FarspanClientOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var (link, supervisor) = await LinkSupervisor.ConnectAsync(options, isMoving: false, cancellationToken);
        return new FarspanClientBackend(link, supervisor);
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length, cancellationToken);
        if (buffer.Length > _maximumPayload)
            return ReadInPiecesAsync(offset, buffer, cancellationToken);
        if (buffer.IsEmpty)
            return default;
        var request = _link.Rent();
        request.Prepare(WireOperation.Read, offset, buffer.Length, epoch: 0);
        request.Target = buffer;
        return _link.Submit(request, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => WriteAsync(offset, buffer, epoch: 0, cancellationToken);

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => FlushAsync(epoch: 0, cancellationToken);

    /// <inheritdoc/>
    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
        => TrimAsync(offset, length, epoch: 0, cancellationToken);

    /// <inheritdoc/>
    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
        => ZeroAsync(offset, length, mode, epoch: 0, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        Check(offset, length, cancellationToken);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentNullException.ThrowIfNull(extents);
        if (length == 0)
            return;
        limit = Math.Min(limit, Math.Min(WireLimits.MaximumExtents, _hello.MaximumPayload / ExtentRecord.Size));
        var answer = new WireAnswer { ExtentLimit = limit };
        var request = _link.Rent();
        request.Prepare(WireOperation.Extents, offset, length, epoch: 0, (ushort)limit);
        request.Answer = answer;
        await _link.Submit(request, cancellationToken);
        foreach (var extent in answer.Extents)
            extents.Add(extent);
    }

    /// <inheritdoc/>
    /// <remarks>The server's answer is waited for even when cancelled, so that no lease is left behind.</remarks>
    public async ValueTask<ILease> AcquireAsync(string holder, Guid? key = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(holder);
        ArgumentOutOfRangeException.ThrowIfEqual(key ?? Guid.AllBitsSet, Guid.Empty, nameof(key));
        Check(0, 0, cancellationToken);
        var secret = key ?? Guid.NewGuid();
        var answer = new WireAnswer();
        var request = _link.Rent();
        request.Prepare(WireOperation.LeaseAcquire, 0, 0, epoch: 0);
        request.Payload = new LeaseRequest(secret, holder).ToBytes();
        request.Answer = answer;
        await _link.Submit(request, CancellationToken.None);
        var lease = new FarspanLease(this, _link, secret, holder, answer.Epoch, Has(WireCapabilities.LeaseHistory) ? answer.Offset : null);
        lock (_link.Gate)
            _link.Lease = lease;
        if (!cancellationToken.IsCancellationRequested)
            return lease;
        await lease.DisposeAsync();
        throw new OperationCanceledException(cancellationToken);
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim))
            return !IsReadOnly && Has(WireCapabilities.Trim) ? this as TCapability : null;
        if (typeof(TCapability) == typeof(IZero))
            return !IsReadOnly && Has(WireCapabilities.Zero) ? this as TCapability : null;
        if (typeof(TCapability) == typeof(IExtentSource))
            return Has(WireCapabilities.Extents) ? this as TCapability : null;
        if (typeof(TCapability) == typeof(IConcurrentWriters))
            return Has(WireCapabilities.ConcurrentWriters) ? this as TCapability : null;
        if (typeof(TCapability) == typeof(ILeasing))
            return !IsReadOnly && Has(WireCapabilities.Leasing) ? this as TCapability : null;
        return this as TCapability;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _isDisposed = true;
        return _supervisor.DisposeAsync();
    }

    internal ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, long epoch, CancellationToken cancellationToken)
    {
        Check(offset, buffer.Length, cancellationToken);
        CheckWritable();
        if (buffer.Length > _maximumPayload)
            return WriteInPiecesAsync(offset, buffer, epoch, cancellationToken);
        if (buffer.IsEmpty)
            return default;
        var request = _link.Rent();
        request.Prepare(WireOperation.Write, offset, buffer.Length, epoch);
        return _link.SubmitWrite(request, buffer, cancellationToken);
    }

    internal ValueTask FlushAsync(long epoch, CancellationToken cancellationToken)
    {
        Check(0, 0, cancellationToken);
        var request = _link.Rent();
        request.Prepare(WireOperation.Flush, 0, 0, epoch);
        return _link.Submit(request, cancellationToken);
    }

    internal ValueTask TrimAsync(long offset, long length, long epoch, CancellationToken cancellationToken)
    {
        Check(offset, length, cancellationToken);
        CheckWritable();
        if (length == 0)
            return default;
        var request = _link.Rent();
        request.Prepare(WireOperation.Trim, offset, length, epoch);
        return _link.Submit(request, cancellationToken);
    }

    internal ValueTask ZeroAsync(long offset, long length, ZeroMode mode, long epoch, CancellationToken cancellationToken)
    {
        Check(offset, length, cancellationToken);
        CheckWritable();
        if (length == 0)
            return default;
        var request = _link.Rent();
        request.Prepare(WireOperation.Zero, offset, length, epoch, (ushort)mode);
        return _link.SubmitWrite(request, default, cancellationToken);
    }

    private bool Has(WireCapabilities capability) => (_hello.Capabilities & capability) != 0;

    private void Check(long offset, long length, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        BackendRange.Check(Length, offset, length);
        if ((offset | length) % _hello.MinimumBlock != 0)
        {
            throw new BackendException(
                BackendError.Invalid, $"{length} bytes at {offset} of {_link.Options.Name}: offset and length must be multiples of {_hello.MinimumBlock}.");
        }

        cancellationToken.ThrowIfCancellationRequested();
    }

    private void CheckWritable()
    {
        if (IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, $"{_link.Options.Name} can only be read.");
    }

    private async ValueTask ReadInPiecesAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var running = new List<Task>();
        for (int at = 0; at < buffer.Length; at += _maximumPayload)
            running.Add(ReadAsync(offset + at, buffer.Slice(at, Math.Min(_maximumPayload, buffer.Length - at)), cancellationToken).AsTask());
        await Task.WhenAll(running);
    }

    private async ValueTask WriteInPiecesAsync(long offset, ReadOnlyMemory<byte> buffer, long epoch, CancellationToken cancellationToken)
    {
        var running = new List<Task>();
        for (int at = 0; at < buffer.Length; at += _maximumPayload)
            running.Add(WriteAsync(offset + at, buffer.Slice(at, Math.Min(_maximumPayload, buffer.Length - at)), epoch, cancellationToken).AsTask());
        await Task.WhenAll(running);
    }
}
