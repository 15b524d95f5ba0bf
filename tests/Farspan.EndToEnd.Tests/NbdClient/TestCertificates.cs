using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>An authority of its own, a server certificate and a client certificate, in the files that NBD programs look for.</summary>
internal static class TestCertificates
{
    /// <summary>Writes <c>ca-cert.pem</c>, <c>server-cert.pem</c>, <c>server-key.pem</c> and, when asked, <c>client-cert.pem</c> and <c>client-key.pem</c>.</summary>
    public static void Write(string directory, string serverName, bool withClient)
    {
        Directory.CreateDirectory(directory);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Farspan test authority", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        var now = TimeProvider.System.GetUtcNow();
        using var authority = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(30));
        File.WriteAllText(Path.Combine(directory, "ca-cert.pem"), authority.ExportCertificatePem());
        Issue(authority, directory, "server", serverName, "1.3.6.1.5.5.7.3.1");
        if (withClient)
            Issue(authority, directory, "client", "client", "1.3.6.1.5.5.7.3.2");
    }

    private static void Issue(X509Certificate2 authority, string directory, string file, string name, string usage)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], critical: false));
        using var certificate = request.Create(authority, new DateTimeOffset(authority.NotBefore).AddMinutes(1), new DateTimeOffset(authority.NotAfter).AddMinutes(-1), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Path.Combine(directory, $"{file}-cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(directory, $"{file}-key.pem"), key.ExportPkcs8PrivateKeyPem());
    }
}
