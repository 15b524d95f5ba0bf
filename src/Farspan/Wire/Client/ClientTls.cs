using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Farspan.Backends;
using Farspan.Transports;

namespace Farspan.Wire.Client;

/// <summary>The TLS handshake from the client's side.</summary>
internal static class ClientTls
{
    /// <summary>Puts TLS over the line, which takes it over. Blocking; aborting the line ends it.</summary>
    /// <exception cref="BackendException">A file cannot be read, or the server is not who it should be.</exception>
    public static ByteChannel Upgrade(ByteChannel line, FarspanTlsOptions options, StreamEndpoint endpoint)
    {
        string? host = options.HostName ?? endpoint.Host;
        if (host is null && options.VerifyPeer)
            throw new BackendException(BackendError.Invalid, $"The certificate of {endpoint} is for a name; give it with tls-hostname=NAME.");
        var settings = new SslClientAuthenticationOptions { TargetHost = host ?? "", EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13 };
        if (!options.VerifyPeer)
        {
#pragma warning disable CA5359 // The user asked for this with tls-verify-peer=off.
            settings.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }

        if (options.CertificateDirectory is { } directory)
            Load(directory, settings);
        var below = line.AsStream();
        var secure = new SslStream(below, leaveInnerStreamOpen: false);
        try
        {
            secure.AuthenticateAsClient(settings);
            return new StreamChannel(secure, below);
        }
        catch (AuthenticationException error)
        {
            throw new BackendException(BackendError.AccessDenied, $"TLS to {endpoint} failed: {error.InnerException?.Message ?? error.Message}", error, isTransient: false);
        }
    }

    private static void Load(string directory, SslClientAuthenticationOptions settings)
    {
        string certificate = Path.Combine(directory, "client-cert.pem");
        try
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.ImportFromPemFile(Path.Combine(directory, "ca-cert.pem"));
            settings.CertificateChainPolicy = policy;
            if (File.Exists(certificate))
            {
                var own = X509Certificate2.CreateFromPemFile(certificate, Path.Combine(directory, "client-key.pem"));
                settings.ClientCertificateContext = SslStreamCertificateContext.Create(own, additionalCertificates: null, offline: true);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new BackendException(BackendError.Invalid, $"The certificates for TLS in {directory} cannot be read: {error.Message}", error, isTransient: false);
        }
    }
}
