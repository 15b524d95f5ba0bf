using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Farspan.Cli;

/// <summary>
/// Turns the first SIGINT, SIGTERM or SIGHUP into a cancellation, so that a verb can clean up; one that comes more than a second later ends
/// the process. What comes sooner is an echo: <c>timeout</c> and others signal a process and its group.
/// </summary>
internal sealed class TerminationSignals : IDisposable
{
    private static readonly TimeSpan EchoTime = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private long _first;

    /// <summary>Registers the handlers.</summary>
    public TerminationSignals()
    {
        foreach (var signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
            _registrations.Add(PosixSignalRegistration.Create(signal, Handle));
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>The first signal's name for people.</summary>
    public string Name { get; private set; } = "a signal";

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        _source.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        long now = Stopwatch.GetTimestamp();
        long first = Interlocked.CompareExchange(ref _first, now, 0);
        if (first != 0)
        {
            context.Cancel = Stopwatch.GetElapsedTime(first, now) < EchoTime;
            return;
        }

        context.Cancel = true;
        Name = context.Signal == PosixSignal.SIGINT ? "Ctrl-C" : context.Signal.ToString();
        _source.Cancel();
    }
}
