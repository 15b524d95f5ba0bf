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
            return new BackendException(BackendError.Disconnected, $"{options.Name} was closed before it answered.", cause, isTransient: false);
        var error = cause?.Error is null or BackendError.Protocol ? BackendError.Disconnected : cause.Error;
        return new BackendException(
            error, $"No connection to {options.Name}. {cause?.Message ?? "It was lost."}", cause, isTransient: cause?.IsTransient ?? true);
    }

    public static BackendException TimedOut(NbdClientOptions options, NbdRequest request)
        => new(
            BackendError.TimedOut,
            $"{request.Command} of {request.Length} bytes at {request.Offset} on {options.Name}: no answer within {options.RequestTimeout.TotalSeconds:0.###} s.");

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
