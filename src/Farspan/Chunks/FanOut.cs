namespace Farspan.Chunks;

/// <summary>Runs the pieces of one request, several at once where they do not complete synchronously.</summary>
internal static class FanOut
{
    /// <summary>
    /// Runs all pieces, at most <paramref name="width"/> at once, started in order. When one fails no more are started, those under way are
    /// awaited (they use the caller's buffer), and the first failure is thrown. Allocates nothing while pieces complete synchronously, nor
    /// for a single piece.
    /// </summary>
    public static ValueTask RunAsync<TJob, TPiece>(TJob job, int width, CancellationToken cancellationToken)
        where TJob : struct, IPieceJob<TPiece>
    {
        if (!job.TryTake(out var piece))
            return default;
        while (true)
        {
            var step = job.RunAsync(piece, cancellationToken);
            if (!step.IsCompletedSuccessfully)
            {
                return width > 1 && job.TryTake(out piece)
                    ? new FanOutRun<TJob, TPiece>(job, width, cancellationToken).RunAsync(step, piece)
                    : FinishAsync<TJob, TPiece>(job, step, cancellationToken);
            }

            if (!job.TryTake(out piece))
                return step;
            step.GetAwaiter().GetResult();
        }
    }

    private static ValueTask FinishAsync<TJob, TPiece>(TJob job, ValueTask step, CancellationToken cancellationToken)
        where TJob : struct, IPieceJob<TPiece>
        => job.TryTake(out var piece) ? OneByOneAsync(job, step, piece, cancellationToken) : step;

    private static async ValueTask OneByOneAsync<TJob, TPiece>(TJob job, ValueTask step, TPiece piece, CancellationToken cancellationToken)
        where TJob : struct, IPieceJob<TPiece>
    {
        await step;
        do
            await job.RunAsync(piece, cancellationToken);
        while (job.TryTake(out piece));
    }
}
