using System.Diagnostics;
using Farspan.Backends;
using Farspan.Linux.Migration;
using Farspan.Migration.Finalizing;
using Farspan.Transports;

namespace Farspan.Figures;

/// <summary>A region at its source with a program that writes to it, and, once it is leeched, at its destination.</summary>
internal sealed class MovingRegion : IAsyncDisposable
{
    private readonly string _directory;
    private readonly Migrator _source;
    private readonly string _line;
    private readonly Stopwatch _clock = new();
    private Migrator? _destination;
    private long _writtenBefore;

    private MovingRegion(string directory, string line, Migrator source, MovingProgram program, int length)
    {
        _directory = directory;
        _line = line;
        _source = source;
        Program = program;
        Length = length;
    }

    public MovingProgram Program { get; }

    public int Length { get; }

    public Migrator Destination => _destination ?? throw new InvalidOperationException("It does not move yet.");

    /// <summary>Bytes that came to the destination.</summary>
    public long Received => _destination?.Status.ReceivedBytes ?? 0;

    /// <summary>What the program wrote since the move began.</summary>
    public long Written => Program.Written - _writtenBefore;

    /// <summary>From the beginning of the move until the program could go on.</summary>
    public TimeSpan ArrivedAfter { get; private set; }

    /// <summary>From the beginning of the move until all was there.</summary>
    public TimeSpan CompletedAfter { get; private set; }

    /// <summary>From the beginning of the move until nothing was missing any more; it is compared by digests afterwards.</summary>
    public TimeSpan WholeAfter { get; private set; }

    /// <summary>Bytes that were missing when the program went on.</summary>
    public long MissingAtArrival { get; private set; }

    /// <summary>A region of random bytes, which is waited for at one socket and will be leeched through another.</summary>
    public static async Task<MovingRegion> OpenAsync(string directory, string listen, string line, int length, MovingProgram program, int seed)
    {
        var store = new MemoryBackend(length);
        byte[] block = new byte[1 << 20];
        var random = new Random(seed);
        for (long at = 0; at < length; at += block.Length)
        {
            random.NextBytes(block);
            await store.WriteAsync(at, block);
        }

        var source = await Migrator.SeedAsync(store, new MigratorOptions { StateDirectory = Path.Combine(directory, "a"), Suspend = _ => program.SuspendAsync() });
        await source.ListenAsync(StreamListener.Bind(StreamEndpoint.Unix(listen)));
        program.Start(source);
        return new MovingRegion(directory, line, source, program, length);
    }

    /// <summary>Begins the move.</summary>
    public async Task LeechAsync(IFinalizePolicy policy)
    {
        var opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _clock.Restart();
        _writtenBefore = Program.Written;
        _destination = await Migrator.LeechAsync($"farspan+unix:///?socket={_line}", new MemoryBackend(Length), new MigratorOptions
        {
            StateDirectory = Path.Combine(_directory, "b"),
            Policy = policy,
            Resume = async token =>
            {
                await opened.Task.WaitAsync(token);
                ArrivedAfter = _clock.Elapsed;
                MissingAtArrival = _destination!.Status.MissingBytes;
                Program.GoOn(_destination);
            },
        });
        opened.SetResult();
    }

    /// <summary>Waits until all is there.</summary>
    public async Task CompleteAsync()
    {
        await Destination.Arrived;
        while (Destination.Status.MissingBytes > 0)
            await Task.Delay(2);
        WholeAfter = _clock.Elapsed;
        await Destination.Completed;
        CompletedAfter = _clock.Elapsed;
    }

    public async ValueTask DisposeAsync()
    {
        await Program.EndAsync();
        if (_destination is not null)
            await _destination.DisposeAsync();
        await _source.DisposeAsync();
        Program.Dispose();
    }
}
