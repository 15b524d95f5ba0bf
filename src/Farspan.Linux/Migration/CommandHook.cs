namespace Farspan.Linux.Migration;

/// <summary>Commands that suspend and resume a program, as <see cref="ShellCommand"/> runs them; one that is null has nothing to do.</summary>
internal sealed class CommandHook(string? suspend, string? resume) : IProgramHook
{
    /// <inheritdoc/>
    public ValueTask SuspendAsync(HookSubject subject, CancellationToken cancellationToken) => RunAsync(suspend, "suspend", subject, cancellationToken);

    /// <inheritdoc/>
    public ValueTask ResumeAsync(HookSubject subject, CancellationToken cancellationToken) => RunAsync(resume, "resume", subject, cancellationToken);

    private static ValueTask RunAsync(string? command, string happening, HookSubject subject, CancellationToken cancellationToken)
        => command is null ? default : new(ShellCommand.RunAsync(command, subject.Variables(happening), cancellationToken));
}
