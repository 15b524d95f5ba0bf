using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>An export of an NBD server as a backend. Thread-safe; see <see cref="NbdClientOptions"/> for what can be set.</summary>
/// <remarks>
/// <para>Many requests are on the way at once, over several connections where the server allows it; long calls are split. A lost connection
/// is made again, and requests without an answer are sent again, since each of them may be carried out twice with the same result.</para>
/// <para>A server with a minimum block size above 1 takes only multiples of it: wrap this in an arbitrary access stage then, as opening by
/// URI does.</para>
/// </remarks>
public sealed class NbdClientBackend : IBackend, ITrim, IZero, IExtentSource, IBlockSizes, IConcurrentWriters, IStateMaps
{
    /// <summary>The longest trim or zero request: short enough to be done within a time-out by a server that writes zeroes out.</summary>
    private const long MaximumRange = 64 << 20;

    private const long MaximumStatusRange = uint.MaxValue & ~((64L << 10) - 1);

    private readonly NbdClientOptions _options;
    private readonly NbdLink _link;
    private readonly NbdSupervisor _supervisor;
    private readonly int _part;

    private NbdClientBackend(NbdClientOptions options, ClientConnection connection)
    {
        _options = options;
        _link = new NbdLink(options, connection);
        _supervisor = new NbdSupervisor(_link, connection);
        var export = connection.Export;
        int maximum = (int)Math.Min(export.MaximumBlock, (uint)options.MaximumRequestLength);
        _part = Math.Max(export.MinimumBlock, maximum / export.MinimumBlock * export.MinimumBlock);
        MapNames = [.. export.StateMaps.Select(map => map.Name)];
        BlockSizes = new BlockSizes(export.MinimumBlock, export.PreferredBlock, int.MaxValue / export.MinimumBlock * export.MinimumBlock);
    }

    /// <inheritdoc/>
    public long Length => _link.Export.Size;

    /// <inheritdoc/>
    public bool IsReadOnly => _options.ReadOnly || _link.Export.Can(NbdTransmissionFlags.ReadOnly);

    /// <summary>Connections that take requests.</summary>
    internal int ConnectionsInUse => _link.InUse().Connections.Length;

    /// <inheritdoc/>
    public BlockSizes BlockSizes { get; }

    /// <inheritdoc/>
    /// <remarks>Empty unless <see cref="NbdClientOptions.StateMaps"/> asks for them and the server has some.</remarks>
    public IReadOnlyList<string> MapNames { get; }

    /// <inheritdoc/>
    bool IZero.CanZeroFast => _link.Export.Can(NbdTransmissionFlags.SendFastZero);

    /// <summary>Connects to a server and opens an export.</summary>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">The server cannot be reached in time, refuses, has no such export, or is no NBD server.</exception>
    public static async Task<NbdClientBackend> ConnectAsync(NbdClientOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var connection = await ClientConnection.OpenAsync(options, cancellationToken);
        return new NbdClientBackend(options, connection);
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        if (buffer.IsEmpty)
            return default;
        return buffer.Length <= _part ? ReadPart(offset, buffer, cancellationToken) : ReadPartsAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        RefuseIfReadOnly();
        if (buffer.IsEmpty)
            return default;
        return buffer.Length <= _part ? WritePart(offset, buffer, cancellationToken) : WritePartsAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    /// <remarks>A server without the flush command is taken to write through: then this does nothing.</remarks>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_link.IsClosing, this);
        if (!_link.Export.Can(NbdTransmissionFlags.SendFlush) || IsReadOnly)
            return cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken) : default;
        return _link.FlushAsync(isForRoom: false, cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
    {
        Check(offset, length);
        RefuseIfReadOnly();
        return RunRangeAsync(NbdCommand.Trim, NbdCommandFlags.None, offset, length, cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        Check(offset, length);
        RefuseIfReadOnly();
        var flags = mode.HasFlag(ZeroMode.KeepAllocated) ? NbdCommandFlags.NoHole : NbdCommandFlags.None;
        if (!mode.HasFlag(ZeroMode.FastOnly))
            return RunRangeAsync(NbdCommand.WriteZeroes, flags, offset, length, cancellationToken);
        if (!((IZero)this).CanZeroFast)
            throw new BackendException(BackendError.NotSupported, $"{_options.Name} does not say whether zeroing is fast.");
        return ZeroFastAsync(flags, offset, length, cancellationToken);
    }

    /// <inheritdoc/>
    async ValueTask IExtentSource.ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken)
    {
        Check(offset, length);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentNullException.ThrowIfNull(extents);
        if (length == 0)
            return;
        var found = new List<Extent>();
        var request = _link.Rent();
        request.PrepareStatus(offset, Math.Min(length, MaximumStatusRange), limit, found);
        await _link.RunAsync(request, only: null, cancellationToken);
        foreach (var extent in found)
            extents.Add(extent);
    }

    /// <inheritdoc/>
    public async ValueTask ListStatesAsync(
        string mapName, long offset, long length, int limit, ICollection<StateRun> runs, CancellationToken cancellationToken = default)
    {
        Check(offset, length);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentNullException.ThrowIfNull(runs);
        if (!MapNames.Contains(mapName))
            throw new ArgumentException($"{_options.Name} has no map '{mapName}'.", nameof(mapName));
        if (length == 0)
            return;
        var found = new List<Extent>();
        var request = _link.Rent();
        request.PrepareStatus(offset, Math.Min(length, MaximumStatusRange), limit, found, mapName);
        await _link.RunAsync(request, only: null, cancellationToken);
        foreach (var run in found)
            runs.Add(new StateRun(run.Offset, run.Length, (uint)run.Kind));
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        var export = _link.Export;
        bool has = typeof(TCapability) == typeof(IBlockSizes)
            || (typeof(TCapability) == typeof(ITrim) && export.Can(NbdTransmissionFlags.SendTrim) && !IsReadOnly)
            || (typeof(TCapability) == typeof(IZero) && export.Can(NbdTransmissionFlags.SendWriteZeroes) && !IsReadOnly)
            || (typeof(TCapability) == typeof(IExtentSource) && export.AllocationContext is not null)
            || (typeof(TCapability) == typeof(IStateMaps) && MapNames.Count > 0)
            || (typeof(TCapability) == typeof(IConcurrentWriters) && _link.CanMultiConnect);
        return has ? this as TCapability : null;
    }

    /// <summary>
    /// Waits for the calls that are under way, within the options' time for closing, says good-bye to the server and closes all connections.
    /// It does not flush. Never throws for a server that is gone.
    /// </summary>
    public ValueTask DisposeAsync() => _supervisor.DisposeAsync();

    /// <summary>One request; throws nothing, since other parts of the same call may be using the caller's buffer.</summary>
    private ValueTask ReadPart(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var request = _link.Rent();
        request.PrepareRead(offset, buffer);
        return _link.RunAsync(request, only: null, cancellationToken);
    }

    /// <summary>One request; throws nothing, since other parts of the same call may be using the caller's buffer.</summary>
    private ValueTask WritePart(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        if (!_link.KeepsWrites)
        {
            var request = _link.Rent();
            request.PrepareWrite(offset, buffer);
            return _link.RunAsync(request, only: null, cancellationToken);
        }

        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        return _link.TryReserve(buffer.Length, out var kept)
            ? WriteKept(kept, offset, buffer, cancellationToken)
            : WriteWhenRoomAsync(offset, buffer, cancellationToken);
    }

    private ValueTask WriteKept(UnflushedWrite kept, long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        kept.Offset = offset;
        kept.Length = buffer.Length;
        buffer.CopyTo(kept.Data);
        var request = _link.Rent();
        request.PrepareWrite(offset, kept.Data);
        request.Kept = kept;
        return _link.RunAsync(request, only: null, cancellationToken);
    }

    private async ValueTask WriteWhenRoomAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
        => await WriteKept(await _link.ReserveAsync(buffer.Length, cancellationToken), offset, buffer, cancellationToken);

    private async ValueTask ReadPartsAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var parts = new Task[(buffer.Length + _part - 1) / _part];
        for (int i = 0; i < parts.Length; i++)
        {
            int start = i * _part;
            parts[i] = ReadPart(offset + start, buffer.Slice(start, Math.Min(_part, buffer.Length - start)), cancellationToken).AsTask();
        }

        await Task.WhenAll(parts);
    }

    private async ValueTask WritePartsAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var parts = new Task[(buffer.Length + _part - 1) / _part];
        for (int i = 0; i < parts.Length; i++)
        {
            int start = i * _part;
            parts[i] = WritePart(offset + start, buffer.Slice(start, Math.Min(_part, buffer.Length - start)), cancellationToken).AsTask();
        }

        await Task.WhenAll(parts);
    }

    private async ValueTask RunRangeAsync(
        NbdCommand command, NbdCommandFlags flags, long offset, long length, CancellationToken cancellationToken)
    {
        while (length > 0)
        {
            long part = Math.Min(length, MaximumRange);
            cancellationToken.ThrowIfCancellationRequested();
            UnflushedWrite? kept = null;
            if (command == NbdCommand.WriteZeroes && _link.KeepsWrites)
            {
                kept = await _link.ReserveAsync(0, cancellationToken);
                kept.Offset = offset;
                kept.Length = part;
                kept.KeepsAllocated = (flags & NbdCommandFlags.NoHole) != 0;
            }

            var request = _link.Rent();
            request.Prepare(command, flags, offset, part);
            request.Kept = kept;
            await _link.RunAsync(request, only: null, cancellationToken);
            offset += part;
            length -= part;
        }
    }

    private async ValueTask ZeroFastAsync(NbdCommandFlags flags, long offset, long length, CancellationToken cancellationToken)
    {
        long first = Math.Min(length, MaximumRange);
        await RunRangeAsync(NbdCommand.WriteZeroes, flags | NbdCommandFlags.FastZero, offset, first, cancellationToken);

        // The first part was fast. A refusal of a later one could not say that nothing was changed, so the rest may take its time.
        await RunRangeAsync(NbdCommand.WriteZeroes, flags, offset + first, length - first, cancellationToken);
    }

    private void Check(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_link.IsClosing, this);
        BackendRange.Check(Length, offset, length);
        if (((offset | length) & (BlockSizes.Minimum - 1)) != 0)
            RefuseUnaligned(offset, length);
    }

    private void RefuseUnaligned(long offset, long length)
    {
        // The last block may be short.
        if ((offset & (BlockSizes.Minimum - 1)) != 0 || offset + length != Length)
        {
            throw new BackendException(
                BackendError.Invalid, $"{_options.Name} takes only multiples of {BlockSizes.Minimum} bytes, not {length} bytes at {offset}.");
        }
    }

    private void RefuseIfReadOnly()
    {
        if (IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, $"{_options.Name} is read-only.");
    }
}
