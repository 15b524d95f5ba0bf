namespace Farspan.Backends;

/// <summary>Bytes of a backend that are open for writing. Dispose exactly once, when they were written, whether whole or not.</summary>
public readonly struct OpenMemory : IDisposable, IEquatable<OpenMemory>
{
    private readonly ILoan? _loan;
    private readonly long _ticket;

    /// <summary>Opens <paramref name="memory"/>; <paramref name="loan"/> (may be null) is told when it is closed.</summary>
    public OpenMemory(Memory<byte> memory, ILoan? loan, long ticket)
    {
        Memory = memory;
        _loan = loan;
        _ticket = ticket;
    }

    /// <summary>The bytes; they hold what is stored, and may be written in any order.</summary>
    public Memory<byte> Memory { get; }

    /// <summary>Closes them: what they hold now is written.</summary>
    public void Dispose() => _loan?.Return(_ticket);

    /// <inheritdoc/>
    public bool Equals(OpenMemory other) => Memory.Equals(other.Memory) && ReferenceEquals(_loan, other._loan) && _ticket == other._ticket;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is OpenMemory other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Memory.GetHashCode();

    /// <summary>Whether both are the same.</summary>
    public static bool operator ==(OpenMemory left, OpenMemory right) => left.Equals(right);

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(OpenMemory left, OpenMemory right) => !left.Equals(right);
}
