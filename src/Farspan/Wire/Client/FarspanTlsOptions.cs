namespace Farspan.Wire.Client;

/// <summary>TLS on the client's side.</summary>
public sealed record FarspanTlsOptions
{
    /// <summary>
    /// A directory with <c>ca-cert.pem</c>, which must have signed the server's certificate, and, where the server asks for them,
    /// <c>client-cert.pem</c> and <c>client-key.pem</c>. Default: null, the system's authorities.
    /// </summary>
    public string? CertificateDirectory { get; init; }

    /// <summary>The name that the server's certificate must be for. Default: null, the endpoint's host.</summary>
    public string? HostName { get; init; }

    /// <summary>Whether the server must prove who it is. Default: true.</summary>
    public bool VerifyPeer { get; init; } = true;
}
