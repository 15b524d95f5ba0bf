using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>Connecting, TLS and the hello, within the options' time for it.</summary>
internal static class LinkOpening
{
    /// <summary>Opens a connection in a place of a session. Blocking. The caller owns the line.</summary>
    /// <exception cref="BackendException">It cannot be opened, or the server refuses.</exception>
    public static (ByteChannel Line, ServerHello Hello) Open(FarspanClientOptions options, Guid session, int place, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(options.ConnectTimeout, options.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        ByteChannel? line = null;
        try
        {
            line = ByteChannel.Over(options.Connector?.Invoke() ?? StreamDialer.Connect(options.Endpoint, "the Farspan server", either.Token));
            ServerHello hello;
            using (either.Token.UnsafeRegister(static l => ((ByteChannel)l!).Abort(), line))
            {
                if (options.Tls is { } tls)
                    line = Secure(line, tls, options.Endpoint);
                hello = Greet(line, options, session, place);
            }

            either.Token.ThrowIfCancellationRequested();
            return (line, hello);
        }
        catch (Exception error)
        {
            line?.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            if (timer.IsCancellationRequested)
            {
                throw new BackendException(
                    BackendError.TimedOut, $"No connection to the Farspan server {options.Endpoint} within {options.ConnectTimeout.TotalSeconds:0.###} s; check that it runs and can be reached.", error);
            }

            if (error is BackendException or not IOException)
                throw;
            throw new BackendException(BackendError.Disconnected, $"Opening {options.Name}: {error.Message}", error);
        }
    }

    private static StreamChannel Secure(ByteChannel line, FarspanTlsOptions options, StreamEndpoint endpoint)
    {
        var below = line.AsStream();
        return new StreamChannel(
            TlsClient.Authenticate(below, new TlsClientSettings(options.CertificateDirectory, options.HostName, options.VerifyPeer), endpoint), below);
    }

    private static ServerHello Greet(ByteChannel line, FarspanClientOptions options, Guid session, int place)
    {
        byte[] name = WireLimits.Encode(options.ExportName, WireLimits.MaximumName);
        byte[] bytes = new byte[ClientHello.Size + name.Length];
        name.CopyTo(bytes, ClientHello.Size);
        var wishes = line.IsProtected ? WireCapabilities.None : WireCapabilities.PayloadChecksums;
        uint checksum = name.Length == 0 ? 0 : Crc32C.Compute(name);
        new ClientHello(WireLimits.Version, WireLimits.Version, wishes, session, place, name.Length, checksum).Write(bytes);
        line.Send(bytes);

        byte[] answer = Receive(line, ServerHello.Size);
        if (!ServerHello.TryRead(answer, out var hello))
            throw new BackendException(BackendError.Protocol, $"{options.Endpoint} answers, but is no Farspan server of a version that is known here.");
        byte[] text = Receive(line, hello.TextLength);
        if ((text.Length == 0 ? 0 : Crc32C.Compute(text)) != hello.TextChecksum)
            throw new BackendException(BackendError.Protocol, $"{options.Name}: the server's hello was damaged on its way.", isTransient: true);
        if (hello.Status != WireStatus.Done)
            throw new BackendException(WireStatusMap.ToError(hello.Status), $"{options.Name}: {WireLimits.Decode(text)}");
        if (wishes != WireCapabilities.None && (hello.Capabilities & wishes) != wishes)
            throw new BackendException(BackendError.Protocol, $"{options.Name}: the server does not put checksums on payloads, as it was asked to.");
        return hello;
    }

    private static byte[] Receive(ByteChannel line, int length)
    {
        byte[] bytes = new byte[length];
        for (int done = 0; done < length;)
        {
            int count = line.Receive(bytes.AsSpan(done));
            if (count == 0)
                throw new IOException("the server closed the connection instead of greeting");
            done += count;
        }

        return bytes;
    }
}
