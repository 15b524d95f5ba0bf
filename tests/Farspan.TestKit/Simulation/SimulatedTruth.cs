namespace Farspan.TestKit.Simulation;

/// <summary>
/// What the bytes of a region may be, given what clients did: the judge of the promises. A read sees the latest acknowledged write; after a
/// crash each byte is what the last flush covered or something that was written, or tried, since. No other value is ever right. One thread.
/// </summary>
internal sealed class SimulatedTruth(byte[] contents)
{
    private readonly byte[] _latest = (byte[])contents.Clone();
    private readonly byte[] _flushed = (byte[])contents.Clone();

    // What a byte may be besides: zero after a trim, or what a failed write tried.
    private readonly bool[] _mayBeZero = new bool[contents.Length];
    private readonly bool[] _flushedMayBeZero = new bool[contents.Length];
    private readonly int[] _acknowledged = new int[contents.Length];
    private readonly List<TruthStep> _tried = [];
    private readonly List<TruthStep> _steps = [];
    private int _stepCount;

    public TruthStep Begin(int offset, int length, byte[]? bytes)
    {
        var step = new TruthStep(++_stepCount, offset, length, bytes);
        _steps.Add(step);

        // Until it is acknowledged it may have happened or not.
        _tried.Add(step);
        return step;
    }

    public void End(TruthStep step, bool isAcknowledged)
    {
        step.IsAcknowledged = isAcknowledged;
        if (!isAcknowledged)
            return;
        _tried.Remove(step);

        // After a trim a byte may be what it was: what was tried before still explains it.
        if (step.Bytes is not null)
            _acknowledged.AsSpan(step.Offset, step.Length).Fill(step.Number);
        Apply(step, _latest, _mayBeZero);
    }

    /// <summary>The steps that a flush that begins now will cover.</summary>
    public List<TruthStep> BeginFlush() => _steps.FindAll(step => step.IsAcknowledged);

    public void EndFlush(List<TruthStep> covered)
    {
        var set = covered.ToHashSet();
        foreach (var step in _steps.Where(set.Contains))
            Apply(step, _flushed, _flushedMayBeZero);
        _steps.RemoveAll(set.Contains);

        // What was found after a crash is durable now: what was tried before it no longer explains anything.
        int found = covered.Where(step => step.IsFound).Select(step => step.Number).DefaultIfEmpty().Max();
        _steps.RemoveAll(step => step.Number < found);
    }

    /// <summary>Judges what a read saw, while no step of the same bytes was under way.</summary>
    public void CheckRead(int offset, ReadOnlySpan<byte> actual)
    {
        for (int i = 0; i < actual.Length; i++)
        {
            int at = offset + i;
            if (actual[i] == _latest[at] || (_mayBeZero[at] && actual[i] == 0) || IsTried(at, actual[i]))
                continue;
            throw Wrong("a read", at, actual[i], _latest[at]);
        }
    }

    /// <summary>Judges what is there after a crash, and takes it as the truth from then on.</summary>
    /// <param name="actual">All there is.</param>
    /// <param name="isAllKept">Whether nothing that was acknowledged may be lost, flushed or not: a process that died takes nothing with it.</param>
    public void CheckAfterCrash(ReadOnlySpan<byte> actual, bool isAllKept)
    {
        if (isAllKept)
            CheckRead(0, actual);
        bool[] mayBeZero = (bool[])_flushedMayBeZero.Clone();
        foreach (var step in _steps.Where(step => step.Bytes is null))
            mayBeZero.AsSpan(step.Offset, step.Length).Fill(true);
        for (int at = 0; at < actual.Length; at++)
        {
            byte value = actual[at];
            int place = at;
            if (value != _flushed[at] && !(mayBeZero[at] && value == 0) && !_steps.Exists(step => Explains(step, place, value)))
                throw Wrong("a read after a crash", at, value, _flushed[at]);
            _latest[at] = value;
            _mayBeZero[at] |= mayBeZero[at];
        }

        // The next flush covers what was found, and not what was acknowledged and is lost.
        foreach (var step in _steps)
            step.IsAcknowledged = false;
        _steps.Add(new TruthStep(++_stepCount, 0, actual.Length, actual.ToArray()) { IsAcknowledged = true, IsFound = true });
        _tried.Clear();
    }

    /// <summary>Judges what the remote holds after the mount was closed, all pushed.</summary>
    public void CheckAtEnd(ReadOnlySpan<byte> actual)
    {
        for (int at = 0; at < actual.Length; at++)
        {
            if (actual[at] != _latest[at] && !(_mayBeZero[at] && actual[at] == 0) && !IsTried(at, actual[at]))
                throw Wrong("the remote after the close", at, actual[at], _latest[at]);
        }
    }

    private bool IsTried(int at, byte value)
        => _tried.Exists(step => step.Number > _acknowledged[at] && Explains(step, at, value));

    private static bool Explains(TruthStep step, int at, byte value)
        => at >= step.Offset && at < step.Offset + step.Length && (step.Bytes is null ? value == 0 : step.Bytes[at - step.Offset] == value);

    private static void Apply(TruthStep step, byte[] bytes, bool[] mayBeZero)
    {
        if (step.Bytes is null)
        {
            mayBeZero.AsSpan(step.Offset, step.Length).Fill(true);
            return;
        }

        step.Bytes.CopyTo(bytes, step.Offset);
        mayBeZero.AsSpan(step.Offset, step.Length).Clear();
    }

    private static InvalidOperationException Wrong(string what, int at, byte actual, byte expected)
        => new($"Byte {at} of {what} is {actual:X2}; the latest is {expected:X2}.");
}
