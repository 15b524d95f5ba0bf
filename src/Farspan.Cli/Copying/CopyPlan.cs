using System.Runtime.CompilerServices;
using Farspan.Backends;

namespace Farspan.Cli.Copying;

/// <summary>Cuts a source into pieces, in order, by asking it what reads as zero.</summary>
internal sealed class CopyPlan(IBackend source, int requestSize, bool sparse)
{
    // Bounds how long one answer is awaited before the first byte moves, and how many extents are held.
    private const long WindowLength = 4L << 30;
    private const int ExtentsAtOnce = 1024;
    private const long ZeroPieceLength = 256L << 20;

    /// <summary>Lists the pieces; together they are the whole source.</summary>
    public async IAsyncEnumerable<CopyPiece> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long length = source.Length;
        var extentSource = sparse ? source.GetCapability<IExtentSource>() : null;
        var extents = new List<Extent>();
        for (long at = 0; at < length;)
        {
            extents.Clear();
            if (extentSource is null)
                extents.Add(new Extent(at, length - at, ExtentKind.Data));
            else
                await extentSource.ListExtentsAsync(at, Math.Min(WindowLength, length - at), ExtentsAtOnce, extents, cancellationToken);
            foreach (var extent in extents)
            {
                foreach (var piece in Cut(extent))
                    yield return piece;
                at = extent.Offset + extent.Length;
            }
        }
    }

    private IEnumerable<CopyPiece> Cut(Extent extent)
    {
        bool isZero = extent.Kind.HasFlag(ExtentKind.Zero);
        long largest = isZero ? ZeroPieceLength : requestSize;
        long end = extent.Offset + extent.Length;
        for (long at = extent.Offset; at < end;)
        {
            // Cuts lie on multiples of the largest piece, so that requests stay aligned behind a short extent.
            long next = Math.Min(end, (at / largest + 1) * largest);
            yield return new CopyPiece(at, next - at, isZero);
            at = next;
        }
    }
}
