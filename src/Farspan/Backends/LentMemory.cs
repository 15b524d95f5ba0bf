namespace Farspan.Backends;

/// <summary>Bytes on loan from a backend. Dispose exactly once, as soon as they were used; they stay valid until then.</summary>
public readonly struct LentMemory : IDisposable, IEquatable<LentMemory>
{
    private readonly ILoan? _loan;
    private readonly long _ticket;

    /// <summary>Creates a loan that <paramref name="loan"/> (may be null) is told of when it ends.</summary>
    public LentMemory(ReadOnlyMemory<byte> memory, ILoan? loan, long ticket)
    {
        Memory = memory;
        _loan = loan;
        _ticket = ticket;
    }

    /// <summary>The bytes.</summary>
    public ReadOnlyMemory<byte> Memory { get; }

    /// <summary>The same loan, of some of its bytes. Dispose one of the two, not both.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the bytes.</exception>
    public LentMemory Slice(int start, int length) => new(Memory.Slice(start, length), _loan, _ticket);

    /// <summary>Gives the bytes back.</summary>
    public void Dispose() => _loan?.Return(_ticket);

    /// <inheritdoc/>
    public bool Equals(LentMemory other) => Memory.Equals(other.Memory) && ReferenceEquals(_loan, other._loan) && _ticket == other._ticket;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is LentMemory other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Memory.GetHashCode();

    /// <summary>Whether both are the same loan.</summary>
    public static bool operator ==(LentMemory left, LentMemory right) => left.Equals(right);

    /// <summary>Whether they are different loans.</summary>
    public static bool operator !=(LentMemory left, LentMemory right) => !left.Equals(right);
}
