using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Migration;
using Farspan.Migration;
using Farspan.Mounts;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Migration;

/// <summary>A region as the file that its program uses, and the host of that program. One owner calls it, but for <see cref="Host"/>.</summary>
internal sealed class RegionMount
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly string _target;
    private readonly FuseMountOptions _options;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private RegionFace? _face;
    private volatile FuseMount? _mount;
    private volatile bool _isEnding;

    /// <summary>Nothing is mounted yet; see <see cref="Show"/>.</summary>
    /// <param name="target">TARGET.</param>
    /// <param name="options">How the file appears.</param>
    /// <param name="hook">Stops and starts the program.</param>
    /// <param name="record">What this host is to the region, at that time.</param>
    /// <param name="logger">Is told of what need not stop a move.</param>
    public RegionMount(string target, FuseMountOptions options, IProgramHook hook, Func<RegionRecord> record, ILogger logger)
    {
        (_target, _options, _logger) = (target, options, logger);
        Host = new ProgramHost(hook, () => record() is var now ? new HookSubject(Path ?? target, now.Region, now.Epoch) : default) { Attaching = AttachAsync };
    }

    /// <summary>Stops and starts the program, which begins only after <see cref="Begin"/>.</summary>
    public ProgramHost Host { get; }

    /// <summary>The mounted file; null where nothing is mounted.</summary>
    public string? Path => _mount?.Path;

    /// <summary>Whether it was mounted, and somebody has unmounted it.</summary>
    public bool IsGone => _mount is { Completion.IsCompleted: true };

    /// <summary>Says what is to be mounted. Once, and first.</summary>
    public void Show(IBackend region) => Host.Attach(_face = new RegionFace(region), mount: null);

    /// <summary>Holds back whoever uses the file, until the program goes on.</summary>
    public ValueTask HoldAsync(CancellationToken cancellationToken) => _face!.HoldAsync(cancellationToken);

    /// <summary>Mounts it, if it is not.</summary>
    /// <exception cref="MountException">The system refused, or this process ends.</exception>
    public async Task MountAsync(CancellationToken cancellationToken)
    {
        if (_mount is { Completion.IsCompleted: false })
            return;
        if (_isEnding)
            throw new MountException("This process ends.");
        var mount = await FuseMount.MountAsync(_face!.Backend, _target, _options, cancellationToken);
        _mount = mount;
        Host.Attach(_face, mount);
    }

    /// <summary>Lets the program go on from now on, with a mounted file, whenever the region is this host's.</summary>
    public void Begin() => _begun.TrySetResult();

    /// <summary>The region is another host's: whoever still uses the file here gets an error, and no old bytes.</summary>
    public async Task DepartAsync(string why)
    {
        using var patience = new CancellationTokenSource(s_patience);
        try
        {
            await Host.DepartAsync(why, patience.Token);
        }
        catch (Exception error) when (error is BackendException or OperationCanceledException)
        {
            _logger.LogError("The kernel still keeps old pages of {Target}: {Message}", _target, error.Message);
        }
    }

    /// <summary>Fails who uses the file, and whom it holds back.</summary>
    public void Refuse(string why) => _face!.Refuse(why);

    /// <summary>Unmounts it; nothing is mounted any more.</summary>
    /// <param name="mayFail">Whether the region is not this host's, at that time: that a last flush fails is of no interest then, and who still uses the file is cut off at once.</param>
    /// <exception cref="IOException">What programs wrote could not be flushed.</exception>
    public async Task EndAsync(Func<bool> mayFail)
    {
        _isEnding = true;
        if (_mount is not { } mount)
            return;
        _mount = null;
        if (mayFail())
        {
            // A program that was stopped for the hand-over, and still has the file open, must not keep this process.
            await mount.CutOffAsync();
            return;
        }

        try
        {
            await mount.DisposeAsync();
            await mount.Completion;
        }
        catch (IOException error) when (mayFail())
        {
            _logger.LogInformation("{Message}", error.Message);
        }
    }

    /// <summary>Unmounts it after a failure, and lets nobody go on who waits for it.</summary>
    public async Task AbandonAsync()
    {
        _begun.TrySetCanceled(CancellationToken.None);
        _isEnding = true;
        if (_mount is { } mount)
            await mount.DisposeAsync();
    }

    private async Task AttachAsync(CancellationToken cancellationToken)
    {
        await _begun.Task.WaitAsync(cancellationToken);
        await MountAsync(cancellationToken);
    }
}
