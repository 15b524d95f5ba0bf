namespace Farspan.Transports;

/// <summary>What a client of TLS trusts and shows, as the options of each protocol say it.</summary>
internal readonly record struct TlsClientSettings(string? CertificateDirectory, string? HostName, bool VerifyPeer);
