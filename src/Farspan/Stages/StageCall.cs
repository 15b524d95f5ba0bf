using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>One call on its way down through a stage: what, where, and with which buffer. A value, so that passing it on allocates nothing.</summary>
internal readonly struct StageCall
{
    private readonly Memory<byte> _target;
    private readonly ReadOnlyMemory<byte> _source;
    private readonly ICollection<Extent>? _extents;
    private readonly int _detail;

    private StageCall(
        BackendOperation operation, long offset, long length, Memory<byte> target = default, ReadOnlyMemory<byte> source = default,
        ICollection<Extent>? extents = null, int detail = 0)
    {
        Operation = operation;
        Offset = offset;
        Length = length;
        _target = target;
        _source = source;
        _extents = extents;
        _detail = detail;
    }

    /// <summary>Exactly one operation.</summary>
    public BackendOperation Operation { get; }

    public long Offset { get; }

    public long Length { get; }

    /// <summary>Bytes that a request carries beside its header.</summary>
    public int RequestPayload => _source.Length;

    /// <summary>Whether half of the call can be made without breaking a promise on the other half.</summary>
    public bool CanBeHalved => Length > 1 && (Operation != BackendOperation.Zero || !((ZeroMode)_detail).HasFlag(ZeroMode.FastOnly));

    public static StageCall Read(long offset, Memory<byte> target) => new(BackendOperation.Read, offset, target.Length, target: target);

    public static StageCall Write(long offset, ReadOnlyMemory<byte> source) => new(BackendOperation.Write, offset, source.Length, source: source);

    public static StageCall Flush() => new(BackendOperation.Flush, 0, 0);

    public static StageCall Trim(long offset, long length) => new(BackendOperation.Trim, offset, length);

    public static StageCall Zero(long offset, long length, ZeroMode mode) => new(BackendOperation.Zero, offset, length, detail: (int)mode);

    public static StageCall ListExtents(long offset, long length, int limit, ICollection<Extent> extents)
        => new(BackendOperation.ListExtents, offset, length, extents: extents, detail: limit);

    /// <summary>Where a listing goes; null for everything else.</summary>
    public ICollection<Extent>? Extents => _extents;

    /// <summary>The same call on the first <paramref name="length"/> bytes only.</summary>
    public StageCall Shortened(long length) => Operation switch
    {
        BackendOperation.Read => Read(Offset, _target[..(int)length]),
        BackendOperation.Write => Write(Offset, _source[..(int)length]),
        _ => new StageCall(Operation, Offset, length, extents: _extents, detail: _detail),
    };

    /// <summary>The same listing into another collection.</summary>
    public StageCall Into(ICollection<Extent> extents) => ListExtents(Offset, Length, _detail, extents);

    /// <summary>Makes the call. Never throws: a failure is in the task.</summary>
    public ValueTask StartAsync(InnerBackend inner, CancellationToken cancellationToken)
    {
        try
        {
            return Operation switch
            {
                BackendOperation.Read => inner.Backend.ReadAsync(Offset, _target, cancellationToken),
                BackendOperation.Write => inner.Backend.WriteAsync(Offset, _source, cancellationToken),
                BackendOperation.Flush => inner.Backend.FlushAsync(cancellationToken),
                BackendOperation.Trim => inner.Trim!.TrimAsync(Offset, Length, cancellationToken),
                BackendOperation.Zero => inner.Zero!.ZeroAsync(Offset, Length, (ZeroMode)_detail, cancellationToken),
                _ => inner.Extents!.ListExtentsAsync(Offset, Length, _detail, _extents!, cancellationToken),
            };
        }
        catch (Exception error)
        {
            return ValueTask.FromException(error);
        }
    }

    /// <summary>What is asked, for messages: <c>Writing 4096 bytes at 8192</c>.</summary>
    public override string ToString() => Operation switch
    {
        BackendOperation.Read => $"Reading {Length} bytes at {Offset}",
        BackendOperation.Write => $"Writing {Length} bytes at {Offset}",
        BackendOperation.Flush => "Flushing",
        BackendOperation.Trim => $"Trimming {Length} bytes at {Offset}",
        BackendOperation.Zero => $"Zeroing {Length} bytes at {Offset}",
        _ => $"Listing the extents of {Length} bytes at {Offset}",
    };
}
