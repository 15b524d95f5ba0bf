using Farspan.Backends;

namespace Farspan.Tests.Stages;

/// <summary>
/// Lets writers and readers loose on the same bytes and judges what each byte reads: it must come from a write that covers it, had begun, and
/// was not over before another one that covers the byte began and ended, all before the read. Each write has a value of its own.
/// </summary>
internal sealed class OverlapJudge(IBackend backend)
{
    private readonly List<Change> _changes = [];
    private readonly List<string> _faults = [];
    private int _clock;

    public IReadOnlyList<string> Faults => _faults;

    public async Task WriteAsync(int offset, int length, byte value)
    {
        var change = new Change(offset, length, value, Interlocked.Increment(ref _clock));
        lock (_changes)
            _changes.Add(change);
        if (value == 0 && backend.GetCapability<IZero>() is { } zero && length % 2 == 0)
        {
            await zero.ZeroAsync(offset, length);
        }
        else
        {
            byte[] data = new byte[length];
            Array.Fill(data, value);
            await backend.WriteAsync(offset, data);
        }

        change.Ended = Interlocked.Increment(ref _clock);
    }

    public async Task ReadAsync(int offset, int length)
    {
        int began = Interlocked.Increment(ref _clock);
        byte[] data = new byte[length];
        Array.Fill(data, (byte)0xEE);
        await backend.ReadAsync(offset, data);
        int ended = Interlocked.Increment(ref _clock);
        Change[] changes;
        lock (_changes)
            changes = [.. _changes.Where(change => change.Began < ended && change.Offset < offset + length && offset < change.Offset + change.Length)];
        for (int i = 0; i < length; i++)
        {
            if (!IsExplained(changes, offset + i, data[i], began))
            {
                lock (_faults)
                    _faults.Add($"byte {offset + i} read {data[i]} between {began} and {ended}; changes: {string.Join("; ", changes.Where(c => c.Covers(offset + i)))}");
                return;
            }
        }
    }

    private static bool IsExplained(Change[] changes, int position, byte value, int readBegan)
    {
        // What was there first, zero, counts as a write that ended before all others.
        bool initial = value == 0;
        foreach (var change in changes)
        {
            if (!change.Covers(position))
                continue;
            if (change.Ended < readBegan)
                initial = false;
            if (change.Value == value && !Array.Exists(changes, later => later.Covers(position) && later.Began > change.Ended && later.Ended < readBegan))
                return true;
        }

        return initial;
    }

    private sealed record Change(int Offset, int Length, byte Value, int Began)
    {
        private int _ended = int.MaxValue;

        public int Ended
        {
            get => Volatile.Read(ref _ended);
            set => Volatile.Write(ref _ended, value);
        }

        public bool Covers(int position) => position >= Offset && position < Offset + Length;
    }
}
