using Farspan.Backends;

namespace Farspan.TestKit.Contracts;

/// <summary>
/// Drives any backend, or any stack of stages, or a client of a served one, with random steps from a seed against a plain array. The same
/// seed gives the same steps. The backend must read as zero at the start.
/// </summary>
/// <example><code>await new BackendModelRunner(backend, seed: 7).RunAsync(2000);</code></example>
public sealed class BackendModelRunner
{
    private static readonly ModelOperationKind[] Kinds =
    [
        ModelOperationKind.Write, ModelOperationKind.Write, ModelOperationKind.Write, ModelOperationKind.Write,
        ModelOperationKind.Read, ModelOperationKind.Read, ModelOperationKind.Read,
        ModelOperationKind.Flush, ModelOperationKind.Trim, ModelOperationKind.Zero, ModelOperationKind.ZeroKeepAllocated,
        ModelOperationKind.ZeroFastOnly, ModelOperationKind.ListExtents, ModelOperationKind.Lend,
    ];

    private readonly IBackend _backend;
    private readonly int _seed;
    private readonly int _alignment;
    private readonly int _maximumLength;

    /// <summary>Creates a runner.</summary>
    /// <param name="backend">What to drive; at most 64 MiB long, a multiple of <paramref name="alignment"/>.</param>
    /// <param name="seed">Chooses the steps.</param>
    /// <param name="alignment">Offsets and lengths are multiples of this many bytes.</param>
    /// <param name="maximumLength">The longest step in bytes.</param>
    public BackendModelRunner(IBackend backend, int seed, int alignment = 1, int maximumLength = 200_000)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(backend.Length, 64L << 20);
        ArgumentOutOfRangeException.ThrowIfLessThan(backend.Length, alignment);
        _backend = backend;
        _seed = seed;
        _alignment = alignment;
        _maximumLength = maximumLength;
        Model = new BackendModel((int)backend.Length);
    }

    /// <summary>What the backend must hold after the steps so far.</summary>
    public BackendModel Model { get; }

    /// <summary>Does <paramref name="steps"/> steps one after the other, then compares the whole backend.</summary>
    public async Task RunAsync(int steps, CancellationToken cancellationToken = default)
    {
        var random = new Random(_seed);
        for (int i = 0; i < steps; i++)
            await Model.ApplyAsync(_backend, Next(random, 0, Model.Length), cancellationToken);
        await CheckAllAsync(cancellationToken);
    }

    /// <summary>
    /// Lets <paramref name="workers"/> workers do <paramref name="stepsEach"/> steps each, all at once, each in its own stripes, so that
    /// neighbours meet in every chunk, page and block and yet no two steps overlap. Then compares the whole backend.
    /// </summary>
    public async Task RunConcurrentAsync(int workers, int stepsEach, CancellationToken cancellationToken = default)
    {
        int[] widths = [1, 3, 17, 128, 700, 1000, 4097, 20_000];
        int stripe = widths[(uint)_seed % (uint)widths.Length] * _alignment;
        while (stripe > _alignment && (long)stripe * workers > Model.Length)
            stripe = Math.Max(_alignment, stripe / 2 / _alignment * _alignment);
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var tasks = Enumerable.Range(0, workers).Select(worker => Task.Run(
            async () =>
            {
                await start.Task;
                var random = new Random((_seed * 31) + worker);
                for (int i = 0; i < stepsEach; i++)
                {
                    long round = random.NextInt64(Math.Max(1, Model.Length / ((long)stripe * workers)));
                    long from = ((round * workers) + worker) * stripe;
                    if (from < Model.Length)
                        await Model.ApplyAsync(_backend, Next(random, from, Math.Min(Model.Length, from + stripe)), cancellationToken);
                }
            },
            cancellationToken)).ToArray();
        start.SetResult();
        await Task.WhenAll(tasks);
        await CheckAllAsync(cancellationToken);
    }

    /// <summary>Compares the whole backend with the model.</summary>
    public ValueTask CheckAllAsync(CancellationToken cancellationToken = default)
        => Model.CheckAllAsync(_backend, Math.Max(_alignment, Math.Min(_maximumLength, 1 << 16) / _alignment * _alignment), cancellationToken);

    private ModelOperation Next(Random random, long from, long end)
    {
        long blocks = (end - from) / _alignment;
        long first = random.NextInt64(blocks);
        long longest = Math.Min(blocks - first, Math.Max(1, _maximumLength / _alignment));

        // Lengths of every magnitude: most steps are small, some span many chunks.
        long length = Math.Min(longest, 1 + random.NextInt64(1L << random.Next(1, 20)));
        return new ModelOperation(Kinds[random.Next(Kinds.Length)], from + (first * _alignment), (int)length * _alignment, random.Next());
    }
}
