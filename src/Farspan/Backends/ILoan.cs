namespace Farspan.Backends;

/// <summary>Is told when lent bytes come back.</summary>
public interface ILoan
{
    /// <summary>The bytes lent under <paramref name="ticket"/> are no longer in use.</summary>
    void Return(long ticket);
}
