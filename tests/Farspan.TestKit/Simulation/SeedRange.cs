using System.Globalization;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// Which worlds a run takes: <c>FARSPAN_SEEDS</c> says how many, <c>FARSPAN_FIRST_SEED</c> which comes first, so that a long run can be cut into short ones.
/// </summary>
internal static class SeedRange
{
    /// <summary>The seeds of one of so many batches, which run one after another or at once.</summary>
    public static IEnumerable<int> OfBatch(int batch, int batches, int usual, int inLongRuns)
    {
        int first = Number("FARSPAN_FIRST_SEED") ?? 0;
        int end = first + (Number("FARSPAN_SEEDS") ?? (LongRun.IsAskedFor ? inLongRuns : usual));
        for (int seed = first + batch; seed < end; seed += batches)
            yield return seed;
    }

    /// <summary><c>FARSPAN_SEED</c>, to see one world by itself; otherwise the seed that is given.</summary>
    public static int OneOr(int seed) => Number("FARSPAN_SEED") ?? seed;

    private static int? Number(string name)
        => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
