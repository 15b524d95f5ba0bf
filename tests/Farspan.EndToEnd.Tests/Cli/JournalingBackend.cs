using Farspan.Backends;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>
/// Memory that keeps all that was ever done to it, in order, so that a test can see what a crash at any moment would have left: all that
/// was flushed, and any part of the rest.
/// </summary>
internal sealed class JournalingBackend(long length) : IBackend, IZero, IConcurrentWriters
{
    private readonly MemoryBackend _memory = new(length);
    private readonly List<(long Offset, byte[]? Bytes, long Length)> _writes = [];
    private readonly List<int> _flushes = [];
    private readonly Lock _lock = new();

    public long Length => length;

    public bool IsReadOnly => false;

    public bool CanZeroFast => false;

    /// <summary>The flushes so far.</summary>
    public int FlushCount
    {
        get
        {
            lock (_lock)
                return _flushes.Count;
        }
    }

    /// <summary>
    /// What a crash some time after flush <paramref name="flush"/> and before the next left: of the later writes each one, or not, as
    /// <paramref name="chance"/> has it, in any order.
    /// </summary>
    public byte[] AfterCrash(int flush, Random chance)
    {
        lock (_lock)
        {
            byte[] image = new byte[length];
            int durable = _flushes[flush];
            int last = flush + 1 < _flushes.Count ? _flushes[flush + 1] : _writes.Count;
            var later = Enumerable.Range(durable, last - durable).Where(_ => chance.Next(2) == 0).ToArray();
            chance.Shuffle(later);
            foreach (int i in Enumerable.Range(0, durable).Concat(later))
            {
                var (offset, bytes, count) = _writes[i];
                var target = image.AsSpan((int)offset, (int)count);
                if (bytes is null)
                    target.Clear();
                else
                    bytes.CopyTo(target);
            }

            return image;
        }
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => _memory.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            _writes.Add((offset, buffer.ToArray(), buffer.Length));
            return _memory.WriteAsync(offset, buffer, cancellationToken);
        }
    }

    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            _writes.Add((offset, null, length));
            return _memory.ZeroAsync(offset, length, mode, cancellationToken);
        }
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        lock (_lock)
            _flushes.Add(_writes.Count);
        return default;
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => this as TCapability;

    public ValueTask DisposeAsync() => _memory.DisposeAsync();
}
