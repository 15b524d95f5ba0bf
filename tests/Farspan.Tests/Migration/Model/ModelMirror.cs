namespace Farspan.Tests.Migration.Model;

/// <summary>A host's way to the store behind the region.</summary>
internal struct ModelMirror
{
    public ModelLine Line;

    /// <summary>Whether the host got the region in this run: the store has what the seeder had.</summary>
    public bool IsNew;

    /// <summary>Whether the chunk was changed since a flush looked, and whether one that looked has yet to carry it.</summary>
    public bool IsMarked;
    public bool IsLeft;

    public ModelFlush Flush;

    /// <summary>What the one who waits for the flush is told to be durable; 0 where nobody waits.</summary>
    public byte Covers;

    /// <summary>What a flush has on its way to the store; what one had that was given up, or whose host crashed. 0 for nothing.</summary>
    public byte Carried;
    public byte Stray;

    public readonly void Add(ref ModelKey key)
    {
        key.Add((int)Line, 2);
        key.Add(IsNew);
        key.Add(IsMarked);
        key.Add(IsLeft);
        key.Add((int)Flush, 2);
        key.Add(Covers, 3);
        key.Add(Carried, 3);
        key.Add(Stray, 3);
    }

    /// <summary>The host, or what it serves the region with, begins anew.</summary>
    public void Reset() => this = new ModelMirror { Stray = Carried != 0 ? Carried : Stray };
}
