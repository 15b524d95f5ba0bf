namespace Farspan.Linux.Migration;

/// <summary>A way to stop and start the program that uses a region. One call at a time.</summary>
internal interface IProgramHook
{
    /// <summary>Stops the program; when this returns it runs no more, and begins no call of the system either.</summary>
    /// <exception cref="HookException">It could not be stopped; <see cref="ResumeAsync"/> undoes what was begun.</exception>
    /// <exception cref="OperationCanceledException">Cancelled, which ends what was begun soon; the same holds.</exception>
    ValueTask SuspendAsync(HookSubject subject, CancellationToken cancellationToken);

    /// <summary>Lets the program go on; also where it was not stopped, or only half.</summary>
    /// <exception cref="HookException">It may not run; the call can be made again.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the same holds.</exception>
    ValueTask ResumeAsync(HookSubject subject, CancellationToken cancellationToken);
}
