using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Farspan.Cli;

/// <summary>
/// Turns the first SIGINT, SIGTERM or SIGHUP into a cancellation, so that a verb can clean up; one that comes more than a second later ends
/// the process, or is the second cancellation of a verb that wants one. What comes sooner is an echo: <c>timeout</c> and others signal a process and
/// its group.
/// </summary>
internal sealed class TerminationSignals : IDisposable
{
    private static readonly TimeSpan EchoTime = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly CancellationTokenSource _second = new();
    private long _last;
    private bool _hasSecond;

    /// <summary>Registers the handlers.</summary>
    public TerminationSignals()
    {
        foreach (var signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
            _registrations.Add(PosixSignalRegistration.Create(signal, Handle));
        Current = this;
    }

    /// <summary>Those of this process; null where it has none.</summary>
    public static TerminationSignals? Current { get; private set; }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>The first signal's name for people.</summary>
    public string Name { get; private set; } = "a signal";

    /// <summary>A token that the second signal cancels, which does not end the process then; the third does.</summary>
    public CancellationToken TakeSecond()
    {
        _hasSecond = true;
        return _second.Token;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Current = null;
        foreach (var registration in _registrations)
            registration.Dispose();
        _source.Dispose();
        _second.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        long now = Stopwatch.GetTimestamp();
        long last = Volatile.Read(ref _last);
        if (last != 0 && Stopwatch.GetElapsedTime(last, now) < EchoTime)
        {
            context.Cancel = true;
            return;
        }

        if (last != 0)
        {
            context.Cancel = _hasSecond && !_second.IsCancellationRequested;
            Volatile.Write(ref _last, now);
            if (context.Cancel)
                _second.Cancel();
            return;
        }

        Volatile.Write(ref _last, now);

        context.Cancel = true;
        Name = context.Signal == PosixSignal.SIGINT ? "Ctrl-C" : context.Signal.ToString();
        _source.Cancel();
    }
}
