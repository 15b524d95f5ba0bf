using System.Runtime.InteropServices;

namespace Farspan.Cli;

/// <summary>Turns the first SIGINT, SIGTERM or SIGHUP into a cancellation, so that a verb can clean up; a second one ends the process.</summary>
internal sealed class TerminationSignals : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _count;

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
        if (Interlocked.Increment(ref _count) > 1)
            return;
        context.Cancel = true;
        Name = context.Signal == PosixSignal.SIGINT ? "Ctrl-C" : context.Signal.ToString();
        _source.Cancel();
    }
}
