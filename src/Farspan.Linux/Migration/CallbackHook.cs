namespace Farspan.Linux.Migration;

/// <summary>A program that is a part of this process: it is told by calls.</summary>
internal sealed class CallbackHook(
    Func<HookSubject, CancellationToken, ValueTask>? suspend = null, Func<HookSubject, CancellationToken, ValueTask>? resume = null) : IProgramHook
{
    /// <inheritdoc/>
    public ValueTask SuspendAsync(HookSubject subject, CancellationToken cancellationToken) => suspend?.Invoke(subject, cancellationToken) ?? default;

    /// <inheritdoc/>
    public ValueTask ResumeAsync(HookSubject subject, CancellationToken cancellationToken) => resume?.Invoke(subject, cancellationToken) ?? default;
}
