using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>The loans that a stage has passed on, by ticket. It grows to the largest number at once and allocates nothing after. Thread-safe.</summary>
internal sealed class LoanTable
{
    private readonly Lock _gate = new();
    private Entry[] _entries = new Entry[8];
    private int _used;
    private int _free = -1;

    /// <summary>Keeps a loan; the ticket finds it again, once.</summary>
    public long Add(LentMemory loan)
    {
        lock (_gate)
        {
            int index = _free;
            if (index >= 0)
            {
                _free = _entries[index].NextFree;
            }
            else
            {
                if (_used == _entries.Length)
                    Array.Resize(ref _entries, _used * 2);
                index = _used++;
            }

            ref var entry = ref _entries[index];
            entry.Loan = loan;
            entry.IsUsed = true;
            return ((long)entry.Generation << 32) | (uint)index;
        }
    }

    /// <summary>Takes a loan out; false where the ticket was used before.</summary>
    public bool Remove(long ticket, out LentMemory loan)
    {
        lock (_gate)
        {
            int index = (int)ticket;
            ref var entry = ref _entries[index];
            if (!entry.IsUsed || entry.Generation != (int)(ticket >> 32))
            {
                loan = default;
                return false;
            }

            loan = entry.Loan;
            entry = new Entry { Generation = entry.Generation + 1, NextFree = _free };
            _free = index;
            return true;
        }
    }

    private struct Entry
    {
        public LentMemory Loan;
        public int Generation;
        public int NextFree;
        public bool IsUsed;
    }
}
