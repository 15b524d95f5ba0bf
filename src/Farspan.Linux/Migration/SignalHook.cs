using Farspan.Linux.Interop;
using Farspan.Linux.Processes;

namespace Farspan.Linux.Migration;

/// <summary>Stops a process, or every process of a group, by a signal, and waits until each of their threads is stopped.</summary>
/// <remarks>A thread that is inside a call of the system stops once that has ended: what it was writing has been written then.</remarks>
internal sealed class SignalHook : IProgramHook
{
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMilliseconds(20);

    private readonly int _id;
    private readonly bool _isGroup;
    private readonly int _signal;
    private readonly long? _start;

    private SignalHook(int id, bool isGroup, int signal, long? start)
    {
        _id = id;
        _isGroup = isGroup;
        _signal = signal;
        _start = start;
    }

    /// <summary>One process, with all its threads.</summary>
    /// <param name="processId">Which; a later one of its number is left alone.</param>
    /// <param name="politely">By SIGTSTP instead of SIGSTOP, for a program that takes it, prepares itself, and stops itself then.</param>
    /// <exception cref="HookException">There is none, or it is this one.</exception>
    public static SignalHook ForProcess(int processId, bool politely = false)
    {
        if (processId == Environment.ProcessId)
            throw new HookException($"Process {processId} is this one, which cannot stop itself and go on.");
        return processId > 0 && ProcessLife.StartOf(processId) is { } start
            ? new SignalHook(processId, isGroup: false, SignalOf(politely), start)
            : throw new HookException($"There is no process {processId}.");
    }

    /// <summary>Every process of a group, also those that join it until it is stopped.</summary>
    /// <param name="groupId">Which.</param>
    /// <param name="politely">By SIGTSTP instead of SIGSTOP, for a program that takes it, prepares itself, and stops itself then.</param>
    /// <exception cref="HookException">There is none, or this process is in it.</exception>
    public static SignalHook ForGroup(int groupId, bool politely = false)
    {
        var members = groupId > 1 ? ProcessStates.OfGroup(groupId) : [];
        if (members.Contains(Environment.ProcessId))
            throw new HookException($"This process is in the group {groupId} itself, which cannot stop itself and go on; start one of the two by setsid.");
        return members.Count > 0 ? new SignalHook(groupId, isGroup: true, SignalOf(politely), start: null) : throw new HookException($"There is no process group {groupId}.");
    }

    /// <inheritdoc/>
    public async ValueTask SuspendAsync(HookSubject subject, CancellationToken cancellationToken)
    {
        Send(_signal);
        var pause = TimeSpan.FromMilliseconds(0.5);
        while (!AreStopped())
        {
            await Task.Delay(pause, cancellationToken);
            pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause;

            // Whoever was just being made when the others were told.
            if (_isGroup)
                Send(_signal);
        }
    }

    /// <inheritdoc/>
    public ValueTask ResumeAsync(HookSubject subject, CancellationToken cancellationToken)
    {
        Send(Libc.SIGCONT);
        return default;
    }

    private static int SignalOf(bool politely) => politely ? Libc.SIGTSTP : Libc.SIGSTOP;

    private bool AreStopped() => _isGroup ? ProcessStates.OfGroup(_id).TrueForAll(ProcessStates.IsStopped) : IsGone || ProcessStates.IsStopped(_id);

    private bool IsGone => !_isGroup && ProcessLife.StartOf(_id) != _start;

    // A program that has ended does not run.
    private void Send(int signal)
    {
        if (IsGone || Libc.Kill(_isGroup ? -_id : _id, signal) == 0 || LinuxError.Last is var error && error == Errno.ESRCH)
            return;
        throw new HookException(LinuxError.Exception(error, $"sending signal {signal} to {(_isGroup ? "process group" : "process")} {_id}").Message);
    }
}
