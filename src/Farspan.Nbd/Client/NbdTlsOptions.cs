namespace Farspan.Nbd.Client;

/// <summary>How a connection to an NBD server is encrypted (the STARTTLS option, X.509 certificates).</summary>
public sealed record NbdTlsOptions
{
    /// <summary>
    /// A directory with <c>ca-cert.pem</c> (the only authorities that are trusted) and, for a server that asks who the client is,
    /// <c>client-cert.pem</c> and <c>client-key.pem</c>. Default: null, which trusts the system's authorities and sends no certificate.
    /// </summary>
    public string? CertificateDirectory { get; init; }

    /// <summary>The name that the server's certificate must carry. Default: null, which is the host connected to; for a Unix socket it must be given.</summary>
    public string? HostName { get; init; }

    /// <summary>
    /// Whether the server's certificate and name are checked. Default: true. Without the check the line is encrypted, but anybody on the way
    /// may be the server.
    /// </summary>
    public bool VerifyPeer { get; init; } = true;
}
