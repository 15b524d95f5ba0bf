using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.NbdServer;

/// <summary>A certificate directory as users make it, with certtool: an authority, a server, a client; and a stranger's client.</summary>
internal static class Certificates
{
    /// <summary>Makes <c>ca-cert.pem</c>, <c>server-*.pem</c> and <c>client-*.pem</c> in <paramref name="directory"/>.</summary>
    public static async Task MakeAsync(string directory, string keyType = "ecdsa")
    {
        Directory.CreateDirectory(directory);
        await MakeAsync(directory, "ca", "cn = Test CA\nca\ncert_signing_key\n", authority: null, keyType);
        await MakeAsync(
            directory, "server", "organization = Farspan\ncn = localhost\ndns_name = localhost\nip_address = 127.0.0.1\ntls_www_server\nencryption_key\nsigning_key\n",
            "ca", keyType);
        await MakeAsync(directory, "client", "organization = Farspan\ncn = client\ntls_www_client\nencryption_key\nsigning_key\n", "ca", keyType);
    }

    private static async Task MakeAsync(string directory, string name, string template, string? authority, string keyType)
    {
        string At(string file) => Path.Combine(directory, file);
        await File.WriteAllTextAsync(At($"{name}.info"), template + "expiration_days = 10\n");
        await PeerProcess.RunOkAsync("certtool", ["--generate-privkey", $"--key-type={keyType}", "--outfile", At($"{name}-key.pem")]);
        string[] signing = authority is null
            ? ["--generate-self-signed"]
            : ["--generate-certificate", "--load-ca-certificate", At($"{authority}-cert.pem"), "--load-ca-privkey", At($"{authority}-key.pem")];
        await PeerProcess.RunOkAsync(
            "certtool", [.. signing, "--load-privkey", At($"{name}-key.pem"), "--template", At($"{name}.info"), "--outfile", At($"{name}-cert.pem")]);
    }
}
