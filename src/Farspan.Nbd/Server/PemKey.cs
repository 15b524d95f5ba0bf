using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Farspan.Nbd.Server;

/// <summary>
/// Reads a certificate and its key from PEM files. GnuTLS writes the private number of an EC key (RFC 5915) as an integer, a byte longer or
/// shorter than the curve's field, which the BCL takes for damage; here it gets the right length.
/// </summary>
internal static class PemKey
{
    private const string EcLabel = "EC PRIVATE KEY";
    private static readonly Asn1Tag PublicKeyTag = new(TagClass.ContextSpecific, 1, isConstructed: true);

    /// <exception cref="CryptographicException">The files hold no certificate and key that belong together.</exception>
    public static X509Certificate2 LoadCertificate(string certificateFile, string keyFile)
    {
        string keyText = File.ReadAllText(keyFile);
        if (!PemEncoding.TryFind(keyText, out var fields) || !keyText.AsSpan()[fields.Label].SequenceEqual(EcLabel))
            return X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
        byte[] key = Convert.FromBase64String(keyText[fields.Base64Data]);
        return X509Certificate2.CreateFromPem(File.ReadAllText(certificateFile), PemEncoding.WriteString(EcLabel, WithWholeNumber(key)));
    }

    private static byte[] WithWholeNumber(byte[] key)
    {
        try
        {
            var fields = new AsnReader(key, AsnEncodingRules.DER).ReadSequence();
            var version = fields.ReadInteger();
            byte[] number = fields.ReadOctetString();
            var parameters = fields.ReadEncodedValue();
            var publicKey = fields.ReadEncodedValue();
            byte[] point = new AsnReader(publicKey, AsnEncodingRules.DER).ReadSequence(PublicKeyTag).ReadBitString(out _);
            byte[] whole = new byte[(point.Length - 1) / 2];
            var digits = number.AsSpan().TrimStart((byte)0);
            digits.CopyTo(whole.AsSpan(whole.Length - digits.Length));
            var writer = new AsnWriter(AsnEncodingRules.DER);
            using (writer.PushSequence())
            {
                writer.WriteInteger(version);
                writer.WriteOctetString(whole);
                writer.WriteEncodedValue(parameters.Span);
                writer.WriteEncodedValue(publicKey.Span);
            }

            return writer.Encode();
        }
        catch (Exception error) when (error is AsnContentException or ArgumentException)
        {
            // Another form, or damaged indeed: whoever reads it says so.
            return key;
        }
    }
}
