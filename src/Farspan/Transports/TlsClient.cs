using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Farspan.Backends;

namespace Farspan.Transports;

/// <summary>TLS on the client's side, with certificates named as NBD programs name them.</summary>
internal static class TlsClient
{
    /// <summary>Runs the TLS handshake on <paramref name="stream"/>. Blocking.</summary>
    /// <exception cref="BackendException">A file cannot be read, or the server is not who it should be.</exception>
    public static SslStream Authenticate(Stream stream, TlsClientSettings settings, StreamEndpoint endpoint)
    {
        string? host = settings.HostName ?? endpoint.Host;
        if (host is null && settings.VerifyPeer)
        {
            throw new BackendException(
                BackendError.Invalid, $"TLS to {endpoint}: a Unix socket has no host name to check; give one with tls-hostname=NAME, or tls-verify-peer=off.");
        }

        var options = new SslClientAuthenticationOptions { TargetHost = host ?? "", EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13 };
        if (!settings.VerifyPeer)
        {
#pragma warning disable CA5359 // The user asked for this with tls-verify-peer=off.
            options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }

        if (settings.CertificateDirectory is not null)
            LoadCertificates(settings.CertificateDirectory, options);
        var encrypted = new SslStream(stream, leaveInnerStreamOpen: false);
        try
        {
            encrypted.AuthenticateAsClient(options);
            return encrypted;
        }
        catch (AuthenticationException error)
        {
            encrypted.Dispose();
            string reason = error.InnerException is null ? error.Message : $"{error.Message} {error.InnerException.Message}";
            throw new BackendException(BackendError.AccessDenied, $"TLS to {endpoint} failed: {reason.TrimEnd('.')}.", error, isTransient: false);
        }
        catch (IOException error)
        {
            encrypted.Dispose();
            throw new BackendException(
                BackendError.Disconnected, $"TLS to {endpoint} failed: the server ended the handshake ({error.Message.TrimEnd('.')}); it may want a client certificate.", error);
        }
        catch
        {
            encrypted.Dispose();
            throw;
        }
    }

    private static void LoadCertificates(string directory, SslClientAuthenticationOptions options)
    {
        string authorities = Path.Combine(directory, "ca-cert.pem");
        string certificate = Path.Combine(directory, "client-cert.pem");
        string key = Path.Combine(directory, "client-key.pem");
        try
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.ImportFromPemFile(authorities);
            options.CertificateChainPolicy = policy;
            if (File.Exists(certificate))
            {
                var own = X509Certificate2.CreateFromPemFile(certificate, key);
                options.ClientCertificateContext = SslStreamCertificateContext.Create(own, additionalCertificates: null, offline: true);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new BackendException(BackendError.Invalid, $"The certificates for TLS in {directory} cannot be read: {error.Message.TrimEnd('.')}.", error, isTransient: false);
        }
    }
}
