using Farspan.Backends;
using Farspan.Migration;

namespace Farspan.Tests.Migration;

/// <summary>A program that writes into mapped memory: what it wrote comes to the backend when it is written back.</summary>
internal sealed class MappingHost : ISeederHost
{
    private readonly Dictionary<long, byte> _kept = [];
    private int _calls;

    public IBackend? Backend { get; set; }

    /// <summary>What the next call to write back fails with.</summary>
    public Exception? Failure { get; set; }

    /// <summary>What calls to write back wait for, as long as they are given time; null for nothing.</summary>
    public Task? Obstacle { get; set; }

    /// <summary>Called by each call to write back before it ends: the program runs meanwhile.</summary>
    public Action? Meanwhile { get; set; }

    /// <summary>Calls to write back that were begun.</summary>
    public int WriteBacks { get; private set; }

    /// <summary>What the last suspension had to write back.</summary>
    public int LeftForSuspension { get; private set; }

    public bool IsRunning { get; private set; } = true;

    /// <summary>Whether a call came while another one was under way.</summary>
    public bool HasOverlapped { get; private set; }

    public void Write(long offset) => _kept[offset] = 1;

    public ValueTask WriteBackAsync(CancellationToken cancellationToken) => AloneAsync(async () =>
    {
        WriteBacks++;
        if (Failure is { } failure)
        {
            Failure = null;
            throw failure;
        }

        if (Obstacle is { } obstacle)
            await obstacle.WaitAsync(cancellationToken);
        await WriteKeptAsync();
        Meanwhile?.Invoke();
    });

    public ValueTask SuspendAsync(CancellationToken cancellationToken) => AloneAsync(async () =>
    {
        IsRunning = false;
        LeftForSuspension = _kept.Count;
        await WriteKeptAsync();
    });

    public ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        IsRunning = true;
        return default;
    }

    private async ValueTask AloneAsync(Func<ValueTask> call)
    {
        HasOverlapped |= _calls++ != 0;
        try
        {
            await call();
        }
        finally
        {
            _calls--;
        }
    }

    private async ValueTask WriteKeptAsync()
    {
        var kept = _kept.ToArray();
        _kept.Clear();
        foreach (var (offset, value) in kept)
            await Backend!.WriteAsync(offset, new[] { value });
    }
}
