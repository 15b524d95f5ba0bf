namespace Farspan.Chunks;

/// <summary>A request cut into pieces, to be run by <see cref="FanOut"/>. Implemented by structs, so that a run of pieces allocates nothing.</summary>
internal interface IPieceJob<TPiece>
{
    /// <summary>Cuts off the next piece; false at the end. Never called by two threads at once.</summary>
    bool TryTake(out TPiece piece);

    /// <summary>Runs one piece; must not change the job.</summary>
    ValueTask RunAsync(TPiece piece, CancellationToken cancellationToken);
}
