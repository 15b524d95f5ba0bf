using Farspan.Backends;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// A store far away: calls take time, get lost on the way there or back, stall; the line can be cut; the store can restart, which loses what
/// was not flushed, and makes the next flush fail. All in virtual time, from one seed. One thread.
/// </summary>
internal sealed class SimulatedRemote : IBackend, ITrim, IZero, IExtentSource
{
    private const int Page = 4096;

    private readonly TimeProvider _clock;
    private readonly Random _random;
    private readonly byte[] _durable;
    private readonly List<(long Offset, long End)> _changing = [];
    private byte[] _current;
    private int _restarts;
    private bool _hasUnflushed;
    private bool _hasLost;

    public SimulatedRemote(byte[] contents, TimeProvider clock, Random random)
    {
        _clock = clock;
        _random = random;
        _durable = contents;
        _current = (byte[])contents.Clone();
    }

    /// <summary>The longest time that a request or a reply takes.</summary>
    public TimeSpan LongestDelay { get; set; } = TimeSpan.FromMilliseconds(20);

    /// <summary>How often a request never arrives, from 0 to 1.</summary>
    public double LostRequests { get; set; }

    /// <summary>How often a reply never arrives although the request was carried out.</summary>
    public double LostReplies { get; set; }

    /// <summary>How often a call takes a minute.</summary>
    public double Stalls { get; set; }

    /// <summary>Draws what only harsh worlds have, so that the others stay as they were: calls on their way for up to half a minute, and replies that
    /// were sent before a restart and arrive after it.</summary>
    public Random? Harshness { get; init; }

    /// <summary>How often a call of a harsh world is slow, each way.</summary>
    public double SlowCalls { get; set; }

    /// <summary>How often a read fails for good.</summary>
    public double BadReads { get; set; }

    /// <summary>Whether the line is cut.</summary>
    public bool IsCut { get; set; }

    /// <summary>Whether an operation is refused, and with what.</summary>
    public Func<bool, BackendException?> Refuse { get; set; } = static _ => null;

    public bool HasTrimAndZero { get; init; } = true;

    /// <summary>Calls that have not ended.</summary>
    public int Running { get; private set; }

    /// <summary>The first two changes of one place that were on their way at once, whose order at the store nobody knows; or null.</summary>
    public string? Overlap { get; private set; }

    /// <summary>What a flush has made durable.</summary>
    public ReadOnlySpan<byte> Durable => _durable;

    public long Length => _current.Length;

    public bool IsReadOnly => false;

    public bool CanZeroFast => true;

    /// <summary>Loses what was not flushed.</summary>
    public void Restart()
    {
        _current = (byte[])_durable.Clone();
        _hasLost |= _hasUnflushed;
        _hasUnflushed = false;
        _restarts++;
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        return CallAsync(isChange: false, () => _current.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span), cancellationToken);
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        return ChangeAsync(offset, buffer.Length, () => buffer.Span.CopyTo(_current.AsSpan((int)offset)), cancellationToken);
    }

    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        return ChangeAsync(offset, length, () => _current.AsSpan((int)offset, (int)length).Clear(), cancellationToken);
    }

    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        return ChangeAsync(
            offset,
            length,
            () =>
            {
                for (long at = offset; at < offset + length; at++)
                    _current[at] = _random.Next(2) == 0 ? (byte)0 : _current[at];
            },
            cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => CallAsync(
        isChange: false,
        () =>
        {
            if (_hasLost)
            {
                _hasLost = false;
                throw new BackendException(BackendError.Disconnected, "The store has restarted since: what was not flushed is lost.");
            }

            _hasUnflushed = false;
            _current.CopyTo(_durable, 0);
        },
        cancellationToken);

    public ValueTask ListExtentsAsync(long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        return CallAsync(
            isChange: false,
            () =>
            {
                for (long end = offset + length; offset < end && limit-- > 0;)
                {
                    long run = Math.Min(end, ((offset / Page) + 1) * Page) - offset;
                    bool isZero = !_current.AsSpan((int)offset, (int)run).ContainsAnyExcept((byte)0);
                    extents.Add(new Extent(offset, run, isZero ? ExtentKind.Hole | ExtentKind.Zero : ExtentKind.Data));
                    offset += run;
                }
            },
            cancellationToken);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => !HasTrimAndZero && (typeof(TCapability) == typeof(ITrim) || typeof(TCapability) == typeof(IZero)) ? null : this as TCapability;

    public ValueTask DisposeAsync() => default;

    private static BackendException Lost(string what) => new(BackendError.Disconnected, $"The {what} was lost.");

    private async ValueTask ChangeAsync(long offset, long length, Action carryOut, CancellationToken cancellationToken)
    {
        var change = (offset, offset + length);
        int at = _changing.FindIndex(other => other.Offset < offset + length && offset < other.End);
        if (at >= 0)
            Overlap ??= $"{length} bytes at {offset} were sent while those from {_changing[at].Offset} to {_changing[at].End} were on their way.";
        _changing.Add(change);
        try
        {
            await CallAsync(isChange: true, carryOut, cancellationToken);
        }
        finally
        {
            _changing.Remove(change);
        }
    }

    private async ValueTask CallAsync(bool isChange, Action carryOut, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Running++;
        try
        {
            int restarts = _restarts;
            await TravelAsync(cancellationToken);
            await LingerAsync(cancellationToken);
            if (Refuse(isChange) is { } refusal)
                throw refusal;
            if (IsCut || restarts != _restarts || _random.NextDouble() < LostRequests)
                throw Lost("request");
            if (!isChange && _random.NextDouble() < BadReads)
                throw new BackendException(BackendError.InputOutput, "A bad sector.");
            carryOut();
            _hasUnflushed |= isChange;
            if (_random.NextDouble() < Stalls)
                await Task.Delay(TimeSpan.FromMinutes(1), _clock, CancellationToken.None);
            await LingerAsync(CancellationToken.None);
            await TravelAsync(CancellationToken.None);
            bool isReplyGone = restarts != _restarts && Harshness?.Next(2) != 0;
            if (IsCut || isReplyGone || _random.NextDouble() < LostReplies)
                throw Lost("reply");
        }
        finally
        {
            Running--;
        }
    }

    private async Task LingerAsync(CancellationToken cancellationToken)
    {
        if (SlowCalls > 0 && Harshness!.NextDouble() < SlowCalls)
            await Task.Delay(TimeSpan.FromSeconds(30) * Math.Pow(Harshness.NextDouble(), 4), _clock, cancellationToken);
    }

    private async Task TravelAsync(CancellationToken cancellationToken)
    {
        if (_random.Next(8) == 0)
            return;
        await Task.Delay(LongestDelay * _random.NextDouble(), _clock, cancellationToken);
    }
}
