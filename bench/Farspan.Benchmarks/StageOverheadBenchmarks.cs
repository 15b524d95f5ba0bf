using BenchmarkDotNet.Attributes;
using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Benchmarks;

/// <summary>What does each stage add to a read of local memory?</summary>
[MemoryDiagnoser]
[ShortRunJob]
public class StageOverheadBenchmarks
{
    private const long Length = 64 << 20;
    private readonly byte[] _buffer = new byte[65536];
    private IBackend _memory = null!;
    private IBackend _readOnly = null!;
    private IBackend _tracking = null!;
    private IBackend _gate = null!;
    private IBackend _checksum = null!;
    private IBackend _retry = null!;
    private IBackend _arbitrary = null!;
    private long _offset;

    [Params(4096, 65536)]
    public int Size { get; set; }

    [GlobalSetup]
    public async Task SetUpAsync()
    {
        _memory = await FilledAsync();
        _readOnly = new ReadOnlyStage(await FilledAsync());
        _tracking = new TrackingStage(await FilledAsync());
        _gate = new LockGateStage(await FilledAsync());
        _checksum = await FillAsync(await ChecksumStage.OpenAsync(new MemoryBackend(Length)));
        _retry = new RetryStage(await FilledAsync());
        _arbitrary = new ArbitraryAccessStage(await FilledAsync());
    }

    [Benchmark(Baseline = true)]
    public ValueTask Memory() => ReadAsync(_memory);

    [Benchmark]
    public ValueTask ReadOnly() => ReadAsync(_readOnly);

    [Benchmark]
    public ValueTask Tracking() => ReadAsync(_tracking);

    [Benchmark]
    public ValueTask LockGate() => ReadAsync(_gate);

    [Benchmark]
    public ValueTask Checksum() => ReadAsync(_checksum);

    [Benchmark]
    public ValueTask Retry() => ReadAsync(_retry);

    [Benchmark]
    public ValueTask ArbitraryAccess() => ReadAsync(_arbitrary);

    private static Task<IBackend> FilledAsync() => FillAsync(new MemoryBackend(Length));

    private static async Task<IBackend> FillAsync(IBackend backend)
    {
        byte[] block = new byte[1 << 20];
        new Random(1).NextBytes(block);
        for (long offset = 0; offset < Length; offset += block.Length)
            await backend.WriteAsync(offset, block);
        return backend;
    }

    private ValueTask ReadAsync(IBackend backend)
    {
        _offset = (_offset + (7L << 16)) & (Length - 1);
        return backend.ReadAsync(_offset, _buffer.AsMemory(0, Size));
    }
}
