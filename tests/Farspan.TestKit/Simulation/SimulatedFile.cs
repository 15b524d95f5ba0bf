namespace Farspan.TestKit.Simulation;

/// <summary>
/// The bytes of a file of a <see cref="SimulatedDisk"/>: what reads see, and for each sector what a loss of power may leave. Sparse.
/// </summary>
internal sealed class SimulatedFile(int sectorSize)
{
    private readonly Dictionary<long, byte[]> _seen = [];

    // For each sector that was written since the last sync: what was durable then, and every state since but the one that is seen.
    private readonly Dictionary<long, List<byte[]?>> _older = [];
    private readonly List<long> _olderLengths = [];

    /// <summary>Bytes of the file, as reads see it.</summary>
    public long Length { get; private set; }

    /// <summary>Sectors that take up space.</summary>
    public int SectorCount => _seen.Count;

    /// <summary>Sectors that a write would take up beyond those that are.</summary>
    public int NewSectors(long offset, int length)
    {
        int count = 0;
        for (long sector = offset / sectorSize; sector * sectorSize < offset + length; sector++)
            count += _seen.ContainsKey(sector) ? 0 : 1;
        return count;
    }

    public void Read(long offset, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int inside = (int)(offset % sectorSize);
            int count = Math.Min(buffer.Length, sectorSize - inside);
            if (_seen.TryGetValue(offset / sectorSize, out byte[]? bytes))
                bytes.AsSpan(inside, count).CopyTo(buffer);
            else
                buffer[..count].Clear();
            buffer = buffer[count..];
            offset += count;
        }
    }

    public void Write(long offset, ReadOnlySpan<byte> buffer)
    {
        if (offset + buffer.Length > Length)
            SetLength(offset + buffer.Length);
        while (!buffer.IsEmpty)
        {
            long sector = offset / sectorSize;
            int inside = (int)(offset % sectorSize);
            int count = Math.Min(buffer.Length, sectorSize - inside);
            byte[] bytes = new byte[sectorSize];
            if (Keep(sector) is { } old)
                old.CopyTo(bytes, 0);
            buffer[..count].CopyTo(bytes.AsSpan(inside));
            _seen[sector] = bytes;
            buffer = buffer[count..];
            offset += count;
        }
    }

    /// <summary>Makes a hole of whole sectors.</summary>
    public void Punch(long offset, long length)
    {
        long end = (offset + length) / sectorSize;
        for (long sector = (offset + sectorSize - 1) / sectorSize; sector < end; sector++)
        {
            if (_seen.ContainsKey(sector))
                Keep(sector);
            _seen.Remove(sector);
        }
    }

    public void SetLength(long length)
    {
        if (length == Length)
            return;
        _olderLengths.Add(Length);
        if (length < Length)
        {
            // Like an ordinary file system, what is behind the end reads as zero if the file grows again.
            int inside = (int)(length % sectorSize);
            foreach (long sector in _seen.Keys.Where(sector => sector * sectorSize >= length - inside).ToList())
            {
                byte[] old = Keep(sector)!;
                _seen.Remove(sector);
                if (inside != 0 && sector == length / sectorSize)
                    _seen[sector] = [.. old.AsSpan(0, inside), .. new byte[sectorSize - inside]];
            }
        }

        Length = length;
    }

    /// <summary>All that is seen is durable.</summary>
    public void Sync()
    {
        _older.Clear();
        _olderLengths.Clear();
    }

    /// <summary>Power is lost: every sector that was not synced has one of its states since, by chance, and so has the length.</summary>
    public void LosePower(Random random)
    {
        foreach (long sector in _older.Keys.Order().ToList())
        {
            var states = _older[sector];
            int choice = random.Next(states.Count + 1);
            if (choice == states.Count)
                continue;
            if (states[choice] is { } bytes)
                _seen[sector] = bytes;
            else
                _seen.Remove(sector);
        }

        int length = random.Next(_olderLengths.Count + 1);
        if (length < _olderLengths.Count)
            Length = _olderLengths[length];
        Sync();

        // Nothing is behind the end.
        long kept = Length;
        Length = long.MaxValue;
        SetLength(kept);
        Sync();
    }

    private byte[]? Keep(long sector)
    {
        byte[]? bytes = _seen.GetValueOrDefault(sector);
        if (!_older.TryGetValue(sector, out var states))
            _older[sector] = states = [];
        states.Add(bytes);
        return bytes;
    }
}
