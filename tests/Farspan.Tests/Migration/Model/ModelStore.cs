namespace Farspan.Tests.Migration.Model;

/// <summary>The store behind the region, which is never lost, and whose lease one host has at a time.</summary>
internal struct ModelStore
{
    /// <summary>No host.</summary>
    public const byte Nobody = 2;

    public bool Exists;

    /// <summary>What it holds, durably.</summary>
    public byte Value;

    /// <summary>The host that got its lease last.</summary>
    public byte Holder;

    /// <summary>The key that it got it with: the region's name.</summary>
    public Guid Key;

    public readonly void Add(ref ModelKey key)
    {
        if (!Exists)
            return;
        key.Add(Value, 3);
        key.Add(Holder, 2);
        key.Add(ModelWorld.NumberOf(Key), 2);
    }
}
