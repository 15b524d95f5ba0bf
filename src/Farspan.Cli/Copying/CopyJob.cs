using Farspan.Backends;
using Farspan.Cli.Terminal;
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
        await using var source = await registry.OpenAsync(Source, Open with { ReadOnly = true }, cancellationToken);
        var (uri, isNew) = DestinationFor(source.Length);
        await using var destination = await registry.OpenAsync(uri, Open, cancellationToken);
        if (destination.IsReadOnly)
            throw new CommandException($"{Destination} can only be read; choose another destination");
        if (destination.Length < source.Length)
        {
            throw new CommandException(
                $"{Destination} has {destination.Length} bytes and {Source} has {source.Length}; give a destination of at least that size");
        }

        var copy = new BackendCopy(source, destination, Options with { DestinationIsZero = isNew });
        await CopyAsync(copy, source.Length, cancellationToken);
        if (Verify)
            await VerifyAsync(copy, source.Length, cancellationToken);
        return new CopyReport(source.Length, copy.Progress.Read, copy.Progress.Written, Verify, Seconds: 0);
    }

    private async Task CopyAsync(BackendCopy copy, long length, CancellationToken cancellationToken)
    {
        try
        {
            await using (ProgressLine.Start(ProgressOutput, Progress, "copy", length, () => copy.Progress.Done))
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

    // A destination on this machine that does not exist is made as long as the source, unless the URI says how long.
    private (string Uri, bool IsNew) DestinationFor(long length)
    {
        var uri = BackendUri.Parse(Destination);
        if (uri.Scheme is not ("file" or "directory") || Path.Exists(FileBackendOptions.PathOf(uri)))
            return (Destination, false);
        if (uri.Get("size") is not null)
            return (Destination, true);
        string separator = Destination.Contains('?', StringComparison.Ordinal) ? "&" : "?";
        return ($"{Destination}{separator}size={length}", true);
    }
}
