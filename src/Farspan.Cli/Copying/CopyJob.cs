using Farspan.Backends;
using Farspan.Cli.Terminal;
using Farspan.Stages;
using Farspan.Units;

namespace Farspan.Cli.Copying;

/// <summary>One <c>farspan copy</c>: opens both, makes the destination where it is absent, copies, flushes, verifies.</summary>
internal sealed record CopyJob
{
    /// <summary>The URI to read.</summary>
    public required string Source { get; init; }

    /// <summary>The URI to write.</summary>
    public required string Destination { get; init; }

    /// <summary>Read both again afterwards and compare. Default: false.</summary>
    public bool Verify { get; init; }

    /// <summary>How both are opened.</summary>
    public BackendOpenOptions Open { get; init; } = new();

    /// <summary>How they are copied.</summary>
    public CopyOptions Options { get; init; } = new();

    /// <summary>How progress is shown. Default: not.</summary>
    public ProgressMode Progress { get; init; }

    /// <summary>Where progress is shown.</summary>
    public TextWriter ProgressOutput { get; init; } = TextWriter.Null;

    /// <summary>Does all of it.</summary>
    /// <exception cref="CommandException">The destination does not fit, or differs afterwards, or the copy was stopped or failed half-way.</exception>
    public async Task<CopyReport> RunAsync(BackendRegistry registry, CancellationToken cancellationToken)
    {
        CheckApart();
        await using var source = AnyOffset(await registry.OpenAsync(Source, Open with { ReadOnly = true }, cancellationToken));
        await using var destination = AnyOffset(await OpenDestinationAsync(registry, source.Length, cancellationToken));
        if (destination.IsReadOnly)
            throw new CommandException($"{Destination} can only be read; choose another destination");
        if (destination.Length < source.Length)
            throw TooSmall(destination.Length, source.Length);
        var copy = new BackendCopy(source, destination, Options);
        await CopyAsync(copy, source.Length, cancellationToken);
        if (Verify)
            await VerifyAsync(copy, source.Length, cancellationToken);
        return new CopyReport(source.Length, copy.Progress.Read, copy.Progress.Written, Verify, Seconds: 0);
    }

    /// <summary>A store that takes only whole blocks, such as one past the page cache, takes any range through a stage.</summary>
    private static IBackend AnyOffset(IBackend backend)
        => backend.GetCapability<IBlockSizes>()?.BlockSizes.Minimum > 1 ? new ArbitraryAccessStage(backend) : backend;

    /// <summary>The path of a file or directory of this machine, its links followed; null for what is elsewhere.</summary>
    private static string? LocalPath(BackendUri uri)
    {
        if (uri.Scheme is not ("file" or "directory"))
            return null;
        string path = Path.GetFullPath(FileBackendOptions.PathOf(uri));
        return new FileInfo(path) is { LinkTarget: not null } link ? link.ResolveLinkTarget(returnFinalTarget: true)!.FullName : path;
    }

    private void CheckApart()
    {
        var (source, destination) = (BackendUri.Parse(Source), BackendUri.Parse(Destination));
        if (LocalPath(source) is { } path && path == LocalPath(destination))
            throw new CommandException($"{Source} and {Destination} are the same; choose another destination");
    }

    /// <summary>Opens what is there; what is not, on this machine, is made as long as the source, unless the URI says how long.</summary>
    private async Task<IBackend> OpenDestinationAsync(BackendRegistry registry, long length, CancellationToken cancellationToken)
    {
        var uri = BackendUri.Parse(Destination);
        bool canBeMade = uri.Scheme is "file" or "directory";
        if (canBeMade && uri.GetSize("size") is { } size && size < length)
            throw TooSmall(size, length);
        try
        {
            return await registry.OpenAsync(Destination, Open, cancellationToken);
        }
        catch (BackendException absent) when (absent.Error == BackendError.NotFound && canBeMade && uri.Get("size") is null)
        {
            string separator = Destination.Contains('?', StringComparison.Ordinal) ? "&" : "?";
            return await registry.OpenAsync($"{Destination}{separator}size={length}", Open, cancellationToken);
        }
    }

    private CommandException TooSmall(long destination, long source)
        => new($"{Destination} has {destination} bytes and {Source} has {source}; give a destination of at least that size");

    private async Task CopyAsync(BackendCopy copy, long length, CancellationToken cancellationToken)
    {
        try
        {
            await using (ProgressLine.Start(ProgressOutput, Progress, "copy", length, () => copy.Progress.Done, "flushing"))
            {
                await copy.RunAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw new CommandException($"stopped; {HowFar(copy, length)}");
        }
        catch (BackendException error)
        {
            throw new CommandException($"{Source} to {Destination}: {error.Message.TrimEnd('.')}; {HowFar(copy, length)}", error);
        }
    }

    private string HowFar(BackendCopy copy, long length)
        => $"{Destination} holds the first {copy.Progress.CompleteUpTo} of {length} bytes ({ByteSize.Format(copy.Progress.CompleteUpTo)}), not yet flushed; "
            + "'farspan copy … --resume' goes on";

    private async Task VerifyAsync(BackendCopy copy, long length, CancellationToken cancellationToken)
    {
        var compared = new CopyProgress();
        long? difference;
        await using (ProgressLine.Start(ProgressOutput, Progress, "verify", length, () => compared.Done))
        {
            difference = await copy.VerifyAsync(compared, cancellationToken);
        }

        if (difference is { } offset)
            throw new CommandException($"{Destination} differs from {Source} at byte {offset}; something else writes to one of them, or the store is faulty");
    }
}
