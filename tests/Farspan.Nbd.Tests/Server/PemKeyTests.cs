using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

public sealed class PemKeyTests
{
    [Fact]
    public void EcKey_WithItsNumberAsAnInteger_IsRead()
    {
        using var directory = new TemporaryDirectory();
        int shorter = 0;
        int longer = 0;
        for (int i = 0; i < 3000 && (shorter == 0 || longer < 5); i++)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            byte[] number = key.ExportParameters(includePrivateParameters: true).D!;
            byte[] digits = number.AsSpan().TrimStart((byte)0).ToArray();
            byte[] asInteger = digits[0] >= 0x80 ? [0, .. digits] : digits;
            if (asInteger.Length == 32 || (asInteger.Length == 33 && longer == 5))
                continue;
            _ = asInteger.Length < 32 ? shorter++ : longer++;
            var request = new CertificateRequest("cn=x", key, HashAlgorithmName.SHA256);
            using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
            File.WriteAllText(directory["c"], certificate.ExportCertificatePem());
            File.WriteAllText(directory["k"], "For people:\n" + PemEncoding.WriteString("EC PRIVATE KEY", WithNumber(key.ExportECPrivateKey(), asInteger)));
            using var read = PemKey.LoadCertificate(directory["c"], directory["k"]);
            Assert.True(read.HasPrivateKey);
            using var readKey = read.GetECDsaPrivateKey();
            Assert.Equal(number, readKey!.ExportParameters(includePrivateParameters: true).D);
        }

        Assert.True(shorter > 0 && longer > 0);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----")]
    [InlineData("-----BEGIN EC PRIVATE KEY-----\nMAYCAQEEAQA=\n-----END EC PRIVATE KEY-----")]
    public void Nonsense_IsACryptographicException(string key)
    {
        using var directory = new TemporaryDirectory();
        using var rsa = RSA.Create(2048);
        var request = new CertificateRequest("cn=x", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        File.WriteAllText(directory["c"], certificate.ExportCertificatePem());
        File.WriteAllText(directory["k"], key);
        Assert.ThrowsAny<CryptographicException>(() => PemKey.LoadCertificate(directory["c"], directory["k"]));
    }

    private static byte[] WithNumber(byte[] key, byte[] number)
    {
        var fields = new AsnReader(key, AsnEncodingRules.DER).ReadSequence();
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteInteger(fields.ReadInteger());
            fields.ReadOctetString();
            writer.WriteOctetString(number);
            while (fields.HasData)
                writer.WriteEncodedValue(fields.ReadEncodedValue().Span);
        }

        return writer.Encode();
    }
}
