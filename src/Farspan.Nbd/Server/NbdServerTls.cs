using System.Net.Security;

namespace Farspan.Nbd.Server;

/// <summary>TLS of an NBD server: X.509 certificates in a directory, laid out as nbdkit and libnbd lay them out. TLS 1.2 or 1.3.</summary>
public sealed record NbdServerTls
{
    /// <summary>
    /// The directory that holds <c>server-cert.pem</c> (further certificates in it are sent as the chain), <c>server-key.pem</c> (not
    /// encrypted), and <c>ca-cert.pem</c>, which client certificates are checked against.
    /// </summary>
    public required string CertificateDirectory { get; init; }

    /// <summary>Refuse everything but STARTTLS to a client that has not started TLS. Default: true.</summary>
    public bool Required { get; init; } = true;

    /// <summary>Refuse clients without a certificate that <c>ca-cert.pem</c> has signed (mutual TLS). Default: false.</summary>
    public bool RequireClientCertificate { get; init; }

    /// <summary>The same certificates for another protocol that is all TLS from its first byte.</summary>
    /// <exception cref="IOException">A file is missing, cannot be read, or holds no certificate or key; the message says which.</exception>
    public SslServerAuthenticationOptions Load() => TlsMaterial.Load(this).Options;
}
