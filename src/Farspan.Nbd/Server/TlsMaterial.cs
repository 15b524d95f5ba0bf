using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Farspan.Nbd.Server;

/// <summary>The certificates of a server, read once.</summary>
internal sealed class TlsMaterial : IDisposable
{
    private readonly X509Certificate2 _certificate;
    private readonly SslServerAuthenticationOptions _options;

    private TlsMaterial(NbdServerTls settings, X509Certificate2 certificate, X509Certificate2Collection chain, X509Certificate2Collection? authorities)
    {
        Settings = settings;
        _certificate = certificate;
        _options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true),
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ClientCertificateRequired = settings.RequireClientCertificate,
            AllowRenegotiation = false,
            EncryptionPolicy = EncryptionPolicy.RequireEncryption,
        };
        if (authorities is not null)
        {
            _options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            _options.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        }
    }

    public NbdServerTls Settings { get; }

    public SslServerAuthenticationOptions Options => _options;

    /// <summary>Reads the directory.</summary>
    /// <exception cref="IOException">A file is missing, cannot be read, or holds no certificate or key; the message says which.</exception>
    public static TlsMaterial Load(NbdServerTls settings)
    {
        string certificateFile = Path.Combine(settings.CertificateDirectory, "server-cert.pem");
        string keyFile = Path.Combine(settings.CertificateDirectory, "server-key.pem");
        string authorityFile = Path.Combine(settings.CertificateDirectory, "ca-cert.pem");
        try
        {
            var certificate = PemKey.LoadCertificate(certificateFile, keyFile);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(certificateFile);
            X509Certificate2Collection? authorities = null;
            if (settings.RequireClientCertificate)
            {
                authorities = [];
                authorities.ImportFromPemFile(authorityFile);
                if (authorities.Count == 0)
                    throw new IOException($"{authorityFile} holds no certificate.");
            }

            return new TlsMaterial(settings, certificate, chain, authorities);
        }
        catch (CryptographicException error)
        {
            throw new IOException(
                $"{certificateFile} and {keyFile} are no usable certificate and key: {error.Message}. "
                + "Make them with certtool or openssl, the key not encrypted.", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"The TLS certificates in {settings.CertificateDirectory} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Upgrades the server's end of <paramref name="stream"/>, which the result owns.</summary>
    /// <exception cref="IOException">The handshake failed.</exception>
    public SslStream Authenticate(Stream stream)
    {
        var secure = new SslStream(stream, leaveInnerStreamOpen: false);
        try
        {
            secure.AuthenticateAsServer(_options);
            return secure;
        }
        catch (Exception error)
        {
            secure.Dispose();
            if (error is AuthenticationException or IOException or InvalidOperationException)
                throw new IOException($"the TLS handshake failed ({(error.InnerException ?? error).Message})", error);
            throw;
        }
    }

    public void Dispose() => _certificate.Dispose();
}
