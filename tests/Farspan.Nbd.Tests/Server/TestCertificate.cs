using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Farspan.Nbd.Tests.Server;

/// <summary>A certificate that signs itself, as the server reads it.</summary>
internal static class TestCertificate
{
    public static void Write(string directory)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        File.WriteAllText(Path.Combine(directory, "server-cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(directory, "server-key.pem"), key.ExportPkcs8PrivateKeyPem());
    }
}
