namespace Farspan.Tests.Migration.Model;

/// <summary>All of a world in 320 bits.</summary>
internal record struct ModelKey(ulong First, ulong Second, ulong Third, ulong Fourth, ulong Fifth)
{
    private int _used;

    public void Add(long value, int bits)
    {
        if (value < 0 || value >= 1L << bits)
            throw new InvalidOperationException($"{value} does not fit into {bits} bits.");
        if ((_used & 63) + bits > 64)
            _used = (_used | 63) + 1;
        ulong shifted = (ulong)value << (_used & 63);
        switch (_used >> 6)
        {
            case 0: First |= shifted; break;
            case 1: Second |= shifted; break;
            case 2: Third |= shifted; break;
            case 3: Fourth |= shifted; break;
            case 4: Fifth |= shifted; break;
            default: throw new InvalidOperationException("The key is full.");
        }

        _used += bits;
    }

    public void Add(bool value) => Add(value ? 1 : 0, 1);
}
