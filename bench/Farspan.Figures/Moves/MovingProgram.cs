using System.Diagnostics;
using Farspan.Linux.Migration;

namespace Farspan.Figures;

/// <summary>
/// A program that writes to a region at a steady rate, 64 KiB at a random place each time, and goes where the region goes. It says how long it stood still, and how
/// long its longest call took.
/// </summary>
/// <param name="rate">Bytes a second, at a time since it was made.</param>
internal sealed class MovingProgram(Func<TimeSpan, double> rate) : IDisposable
{
    private const int Block = 64 << 10;

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly CancellationTokenSource _ending = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private Task _running = Task.CompletedTask;
    private Migrator? _host;
    private TimeSpan _suspendedAt;
    private TimeSpan _lastWrite;
    private long _written;

    /// <summary>One that always writes as much.</summary>
    public MovingProgram(double bytesPerSecond)
        : this(_ => bytesPerSecond)
    {
    }

    /// <summary>The time since it was made.</summary>
    public TimeSpan Now => _clock.Elapsed;

    /// <summary>Bytes written.</summary>
    public long Written => Volatile.Read(ref _written);

    /// <summary>From the order to stand still until the program was let go on.</summary>
    public TimeSpan Downtime { get; private set; }

    /// <summary>From the order to stand still until it did.</summary>
    public TimeSpan StoppingTime { get; private set; }

    /// <summary>The longest time from the end of a write to the end of the next one.</summary>
    public TimeSpan LongestGap { get; private set; }

    public void Start(Migrator host)
    {
        _host = host;
        _lastWrite = _clock.Elapsed;
        _running = Task.Run(WriteAsync);
    }

    public async ValueTask SuspendAsync()
    {
        _suspendedAt = _clock.Elapsed;
        await _turn.WaitAsync();
        _host = null;
        StoppingTime = _clock.Elapsed - _suspendedAt;
        _turn.Release();
    }

    public void GoOn(Migrator host)
    {
        Downtime = _clock.Elapsed - _suspendedAt;
        _host = host;
    }

    public async Task EndAsync()
    {
        await _ending.CancelAsync();
        await _running;
    }

    public void Dispose()
    {
        _turn.Dispose();
        _ending.Dispose();
    }

    private async Task WriteAsync()
    {
        byte[] bytes = new byte[Block];
        var random = new Random(7);
        random.NextBytes(bytes);
        double due = 0;
        while (!_ending.IsCancellationRequested)
        {
            await _turn.WaitAsync();
            try
            {
                if (_host is { } host)
                {
                    await host.Backend.WriteAsync(random.NextInt64(host.Backend.Length / Block) * Block, bytes);
                    var now = _clock.Elapsed;
                    LongestGap = now - _lastWrite > LongestGap ? now - _lastWrite : LongestGap;
                    _lastWrite = now;
                    _written += Block;
                }
            }
            finally
            {
                _turn.Release();
            }

            // What was missed while it stood still is not made up for.
            due = Math.Max(due + (Block / rate(_clock.Elapsed)), _clock.Elapsed.TotalSeconds - 0.01);
            double wait = due - _clock.Elapsed.TotalSeconds;
            if (wait > 0.001)
                await Task.Delay(TimeSpan.FromSeconds(wait));
            else
                await Task.Yield();
        }
    }
}
