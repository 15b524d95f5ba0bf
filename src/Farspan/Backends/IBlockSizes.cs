namespace Farspan.Backends;

/// <summary>Says which request sizes a backend accepts and likes. A backend without it takes any, see <see cref="BlockSizes.Default"/>.</summary>
public interface IBlockSizes
{
    /// <summary>The sizes; fixed for the backend's life.</summary>
    BlockSizes BlockSizes { get; }
}
