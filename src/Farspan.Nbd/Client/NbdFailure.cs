using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>The exceptions of the client.</summary>
internal static class NbdFailure
{
    private const int ShownTextLength = 200;

    /// <summary>The server broke the protocol: <paramref name="what"/> ends without a full stop.</summary>
    public static BackendException Protocol(string what)
        => new(BackendError.Protocol, $"The NBD server broke the protocol: {what}.", isTransient: false);

    /// <summary>What an error number on the wire means.</summary>
    public static BackendError FromErrno(NbdErrno error) => error switch
    {
        NbdErrno.Perm => BackendError.AccessDenied,
        NbdErrno.NoMem => BackendError.NoMemory,
        NbdErrno.Inval or NbdErrno.Overflow => BackendError.Invalid,
        NbdErrno.NoSpc => BackendError.NoSpace,
        NbdErrno.NotSup => BackendError.NotSupported,
        NbdErrno.Shutdown => BackendError.ShuttingDown,
        _ => BackendError.InputOutput,
    };

    /// <summary>What a refused option means.</summary>
    public static BackendError FromOptionReply(NbdOptionReply reply) => reply switch
    {
        NbdOptionReply.ErrorUnsupported or NbdOptionReply.ErrorPlatform => BackendError.NotSupported,
        NbdOptionReply.ErrorPolicy or NbdOptionReply.ErrorTlsRequired => BackendError.AccessDenied,
        NbdOptionReply.ErrorUnknown => BackendError.NotFound,
        NbdOptionReply.ErrorShutdown => BackendError.ShuttingDown,
        NbdOptionReply.ErrorInvalid or NbdOptionReply.ErrorTooBig => BackendError.Invalid,
        _ => BackendError.InputOutput,
    };

    /// <summary>A server's text, cut and without control characters, as the end of a message: empty, or <c> (text)</c>.</summary>
    public static string ServerText(ReadOnlySpan<byte> utf8)
    {
        if (utf8.IsEmpty)
            return "";
        string text = Encoding.UTF8.GetString(utf8[..Math.Min(utf8.Length, ShownTextLength)]);
        var clean = new StringBuilder(text.Length);
        foreach (char c in text)
            clean.Append(char.IsControl(c) ? ' ' : c);
        return $" ({clean.ToString().Trim()})";
    }
}
