using Farspan.Linux.Fuse;
using Farspan.Migration;

namespace Farspan.Linux.Migration;

/// <summary>
/// The host of a program that uses a region through a mounted file: it stops the program, has the kernel write back what it keeps of the file, and holds
/// back whoever else uses it. After a hand-over they are refused, and what the kernel keeps is dropped.
/// </summary>
/// <param name="hook">Stops and starts the program.</param>
/// <param name="subject">What the hook is told, at that time.</param>
internal sealed class ProgramHost(IProgramHook hook, Func<HookSubject> subject) : ISeederHost
{
    private RegionFace? _face;
    private FuseMount? _mount;

    /// <summary>Says how the program finds the region; before the first call.</summary>
    /// <param name="face">What stands between the attachment and the region.</param>
    /// <param name="mount">The mounted file; null where there is none, as for clients of a server.</param>
    public void Attach(RegionFace face, FuseMount? mount)
    {
        _face = face;
        _mount = mount;
    }

    /// <inheritdoc/>
    public async ValueTask SuspendAsync(CancellationToken cancellationToken)
    {
        await hook.SuspendAsync(subject(), cancellationToken);
        if (_mount is { Completion.IsCompleted: false } mount)
            await mount.WriteBackAsync(cancellationToken);
        if (_face is { } face)
            await face.HoldAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        _face?.Open();
        return hook.ResumeAsync(subject(), cancellationToken);
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
