using System.Net.Sockets;
using Farspan.Backends;

namespace Farspan.Nbd.Client;

/// <summary>Connecting and a blocking conversation on the new stream, within the time for connecting.</summary>
internal static class NbdOpening
{
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
            {
                throw new BackendException(
                    BackendError.TimedOut, $"No NBD connection to {options.Endpoint} within {options.ConnectTimeout.TotalSeconds:0.###} s; check that the server runs and can be reached.", error);
            }

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
}
