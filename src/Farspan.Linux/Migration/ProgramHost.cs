using Farspan.Linux.Fuse;
using Farspan.Migration;

namespace Farspan.Linux.Migration;

/// <summary>
/// The host of a program that uses a region through a mounted file, at either end of a move: it stops the program, has the kernel write back what it keeps of the file, and holds
/// back whoever else uses it. After a hand-over they are refused, and what the kernel keeps is dropped.
/// </summary>
/// <param name="hook">Stops and starts the program.</param>
/// <param name="subject">What the hook is told, at that time.</param>
internal sealed class ProgramHost(IProgramHook hook, Func<HookSubject> subject) : ISeederHost, ILeecherHost
{
    private RegionFace? _face;
    private FuseMount? _mount;
    private long _suspendedAt;

    /// <summary>Called before the program goes on, where the attachment may not be there yet; it can be called again. Null for nothing.</summary>
    public Func<CancellationToken, Task>? Attaching { get; init; }

    /// <summary>Saves what the program has written elsewhere than to the mounted file, while it runs. Null for nothing.</summary>
    public Func<CancellationToken, ValueTask>? Saving { get; init; }

    /// <summary>For how long the program has been suspended; null where it is not.</summary>
    public TimeSpan? SuspendedFor => Volatile.Read(ref _suspendedAt) is var start && start != 0 ? TimeProvider.System.GetElapsedTime(start) : null;

    /// <summary>Says how the program finds the region; before the first call.</summary>
    /// <param name="face">What stands between the attachment and the region.</param>
    /// <param name="mount">The mounted file; null where there is none, as for clients of a server.</param>
    public void Attach(RegionFace face, FuseMount? mount)
    {
        _face = face;
        _mount = mount;
    }

    /// <inheritdoc/>
    public async ValueTask WriteBackAsync(CancellationToken cancellationToken)
    {
        if (Saving is not null)
            await Saving(cancellationToken);
        if (_mount is { Completion.IsCompleted: false } mount)
            await mount.WriteBackAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask SuspendAsync(CancellationToken cancellationToken)
    {
        Volatile.Write(ref _suspendedAt, TimeProvider.System.GetTimestamp());
        await hook.SuspendAsync(subject(), cancellationToken);
        if (_mount is { Completion.IsCompleted: false } mount)
            await mount.WriteBackAsync(cancellationToken);
        if (_face is { } face)
            await face.HoldAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        if (Attaching is not null)
            await Attaching(cancellationToken);
        _face?.Open();
        await hook.ResumeAsync(subject(), cancellationToken);
        Volatile.Write(ref _suspendedAt, 0);
    }

    /// <summary>
    /// The region is another host's: whoever still uses the file here gets an error, and no bytes, not those either that the kernel has kept.
    /// </summary>
    /// <param name="why">What is said to those who look for the reason.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="Backends.BackendException">The kernel refused to drop what it keeps.</exception>
    public async ValueTask DepartAsync(string why, CancellationToken cancellationToken)
    {
        _face?.Refuse(why);
        if (_mount is { Completion.IsCompleted: false } mount)
            await mount.DropCacheAsync(cancellationToken);
    }
}
