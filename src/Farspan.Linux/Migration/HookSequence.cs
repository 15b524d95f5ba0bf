namespace Farspan.Linux.Migration;

/// <summary>Several hooks as one: each is suspended after the one before it, and resumed before it.</summary>
/// <remarks>One that was not begun to be suspended since the last resumption is not resumed, unless none was: then all are.</remarks>
internal sealed class HookSequence(IReadOnlyList<IProgramHook> hooks) : IProgramHook
{
    private int? _begun;

    /// <inheritdoc/>
    public async ValueTask SuspendAsync(HookSubject subject, CancellationToken cancellationToken)
    {
        for (int i = 0; i < hooks.Count; i++)
        {
            _begun = Math.Max(_begun ?? 0, i + 1);
            await hooks[i].SuspendAsync(subject, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async ValueTask ResumeAsync(HookSubject subject, CancellationToken cancellationToken)
    {
        _begun ??= hooks.Count;
        for (; _begun > 0; _begun--)
            await hooks[_begun.Value - 1].ResumeAsync(subject, cancellationToken);
        _begun = null;
    }
}
