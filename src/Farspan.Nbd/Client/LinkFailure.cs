using Farspan.Backends;

namespace Farspan.Nbd.Client;

/// <summary>What callers are told when a link cannot serve them.</summary>
internal static class LinkFailure
{
    /// <summary>The same failure for one more caller.</summary>
    public static BackendException Copy(BackendException failure) => new(failure.Error, failure.Message, failure, failure.IsTransient);

    public static BackendException NoConnection(NbdClientOptions options, BackendException? cause, bool isClosing)
    {
        if (isClosing)
            return Closed(options);
        var error = cause?.Error is null or BackendError.Protocol ? BackendError.Disconnected : cause.Error;
        return new BackendException(
            error, $"No connection to {options.Name}. {cause?.Message ?? "It was lost."}", cause, isTransient: cause?.IsTransient ?? true);
    }

    public static BackendException TimedOut(NbdClientOptions options, NbdRequest request)
        => new(
            BackendError.TimedOut,
            $"{request.Command} of {request.Length} bytes at {request.Offset} on {options.Name}: no answer within {options.RequestTimeout.TotalSeconds:0.###} s.");

    public static BackendException Silent(NbdClientOptions options)
        => new(BackendError.Disconnected, $"The connection to {options.Name} was given up: nothing came for {options.RequestTimeout.TotalSeconds:0.###} s.");

    public static BackendException Lost(NbdClientOptions options)
        => new(BackendError.Disconnected, $"The connection to {options.Name} was lost.");

    public static BackendException Closed(NbdClientOptions options)
        => new(BackendError.Disconnected, $"{options.Name} was closed before it answered.", isTransient: false);

    public static BackendException Fault(NbdClientOptions options, Exception error)
        => new(
            BackendError.InputOutput, $"The client of {options.Name} failed and cannot go on; open it again. {error.Message}", error, isTransient: false);

    /// <summary>For a flush, a read or a status that would touch bytes which could not be written again.</summary>
    public static BackendException LostRange(NbdClientOptions options, NbdRequest request, (long Start, long End) range, BackendException cause)
        => new(
            cause.Error,
            $"{request.Command} on {options.Name}: bytes {range.Start} to {range.End - 1} were acknowledged and not flushed when the connection was lost, and the server refuses to take them again. Write them again. {cause.Message}",
            cause,
            isTransient: false);

    public static BackendException NoRoom(NbdClientOptions options, BackendException? cause)
        => new(
            cause?.Error ?? BackendError.TimedOut,
            $"Write on {options.Name}: the flush that should make room for it did not succeed. {cause?.Message ?? "It got no answer."}",
            cause);

    public static BackendException LostWrites(NbdClientOptions options, BackendException cause)
        => new(
            BackendError.InputOutput,
            $"Flush on {options.Name}: the connection was lost after writes that were acknowledged and not flushed, so they may be lost. Open it again and write them again. {cause.Message}",
            cause,
            isTransient: false);

    public static BackendException EarlierFlush(NbdClientOptions options, BackendException cause)
        => new(cause.Error, $"Flush on {options.Name}: an earlier flush, made to bound the memory for writes, failed. {cause.Message}", cause);

    public static BackendException OtherFlush(NbdClientOptions options)
        => new(BackendError.InputOutput, $"Flush on {options.Name}: another flush failed at the same time, so that the success of this one proves nothing.");
}
