using System.Net.Sockets;
using Farspan.Backends;

namespace Farspan.Nbd.Client;

/// <summary>Connecting and a blocking conversation on the new stream, within the time for connecting.</summary>
internal static class NbdOpening
{
    /// <summary>
    /// Waits for what a thread opens, but no longer than the time for connecting and the token allow, though looking up a name cannot be
    /// interrupted. What the thread comes with later is for the thread to end.
    /// </summary>
    public static async Task<T> WaitAsync<T>(TaskCompletionSource<T> opening, NbdClientOptions options, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(options.ConnectTimeout, options.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            return await opening.Task.WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            if (cancellationToken.IsCancellationRequested)
                opening.TrySetException(new OperationCanceledException(cancellationToken));
            else
                opening.TrySetException(TimedOut(options, cause: null));
        }

        // It may have been there a moment before.
        return await opening.Task;
    }

    /// <summary>Runs <paramref name="talk"/> on a new stream. On success the caller owns the stream. Blocking.</summary>
    /// <exception cref="BackendException">It failed, or took longer than the options' time for connecting.</exception>
    /// <exception cref="OperationCanceledException">The token ended it.</exception>
    public static (NbdTransport Transport, T Result) Run<T>(
        NbdClientOptions options, Func<NbdTransport, NbdClientOptions, T> talk, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(options.ConnectTimeout, options.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        NbdTransport? transport = null;
        try
        {
            transport = options.Connector?.Invoke() ?? NbdTransport.Connect(options.Endpoint, either.Token);
            T result;
            using (either.Token.UnsafeRegister(static t => ((NbdTransport)t!).Abort(), transport))
                result = talk(transport, options);
            either.Token.ThrowIfCancellationRequested();
            return (transport, result);
        }
        catch (Exception error)
        {
            transport?.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            if (timer.IsCancellationRequested)
                throw TimedOut(options, error);

            if (error is BackendException failure)
            {
                if (failure.Message.Contains($"{options.Endpoint}", StringComparison.Ordinal))
                    throw;
                throw new BackendException(failure.Error, $"Opening {options.Name}: {failure.Message}", failure, failure.IsTransient);
            }

            if (error is IOException or SocketException or ObjectDisposedException)
                throw new BackendException(BackendError.Disconnected, $"Opening {options.Name}: the connection was lost: {error.Message.TrimEnd('.')}.", error);
            throw;
        }
    }

    private static BackendException TimedOut(NbdClientOptions options, Exception? cause)
        => new(
            BackendError.TimedOut,
            $"No NBD connection to {options.Endpoint} within {options.ConnectTimeout.TotalSeconds:0.###} s; check that the server runs and can be reached.",
            cause);
}
