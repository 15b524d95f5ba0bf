using System.Collections.Concurrent;
using Farspan.Backends;

namespace Farspan.Nbd.Tests.Server;

/// <summary>A backend over an array that counts its calls, and does before each what the test says: wait, fail, complete later.</summary>
internal sealed class ScriptedBackend : IBackend, ITrim, IZero, IExtentSource, IBlockSizes, IConcurrentWriters
{
    private readonly HashSet<Type> _powers = [];
    private readonly byte[] _bytes;

    public ScriptedBackend(int length, params Type[] powers)
    {
        _bytes = new byte[length];
        _powers.UnionWith(powers);
    }

    public delegate ValueTask Hook(string call, long offset, long length, CancellationToken cancellationToken);

    /// <summary>Runs before each call; may throw, or complete when it likes.</summary>
    public Hook? Before { get; set; }

    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>The length it claims; bytes beyond the array cannot be reached.</summary>
    public long? ClaimedLength { get; init; }

    public long Length => ClaimedLength ?? _bytes.Length;

    public bool IsReadOnly { get; init; }

    public bool CanZeroFast { get; init; } = true;

    public BlockSizes BlockSizes { get; init; } = BlockSizes.Default;

    public Func<long, long, IEnumerable<Extent>>? Extents { get; set; }

    public byte[] Bytes => _bytes;

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await BeginAsync("read", offset, buffer.Length, cancellationToken);
        _bytes.AsMemory((int)offset, buffer.Length).CopyTo(buffer);
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await BeginAsync("write", offset, buffer.Length, cancellationToken);
        buffer.CopyTo(_bytes.AsMemory((int)offset));
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => BeginAsync("flush", 0, 0, cancellationToken);

    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
        => BeginAsync("trim", offset, length, cancellationToken);

    public async ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        await BeginAsync($"zero {mode}", offset, length, cancellationToken);
        if (ClaimedLength is null)
            _bytes.AsSpan((int)offset, (int)length).Clear();
    }

    public async ValueTask ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        await BeginAsync($"extents {limit}", offset, length, cancellationToken);
        foreach (var extent in Extents!(offset, length).Take(limit))
            extents.Add(extent);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => _powers.Contains(typeof(TCapability)) ? this as TCapability : null;

    public ValueTask DisposeAsync() => default;

    private ValueTask BeginAsync(string call, long offset, long length, CancellationToken cancellationToken)
    {
        Calls.Enqueue($"{call} {offset}+{length}");
        BackendRange.Check(Length, offset, length);
        return Before?.Invoke(call, offset, length, cancellationToken) ?? default;
    }
}
