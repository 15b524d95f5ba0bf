namespace Farspan.Nbd.Protocol;

/// <summary>Magic numbers and fixed limits of the NBD protocol (the protocol document of NetworkBlockDevice/nbd, doc/proto.md).</summary>
internal static class NbdConstants
{
    /// <summary>"NBDMAGIC": the first eight bytes a server sends.</summary>
    public const ulong ServerMagic = 0x4e42444d41474943;

    /// <summary>"IHAVEOPT": second magic of the server, and the first field of each option.</summary>
    public const ulong OptionMagic = 0x49484156454F5054;

    /// <summary>Second magic of a server that speaks the old style of negotiation.</summary>
    public const ulong OldStyleMagic = 0x00420281861253;

    public const ulong OptionReplyMagic = 0x0003e889045565a9;
    public const uint RequestMagic = 0x25609513;
    public const uint ExtendedRequestMagic = 0x21e41c71;
    public const uint SimpleReplyMagic = 0x67446698;
    public const uint StructuredReplyMagic = 0x668e33ef;
    public const uint ExtendedReplyMagic = 0x6e8a278c;

    public const int DefaultPort = 10809;

    /// <summary>Longest string (export name, description, error message) that the protocol allows, in bytes.</summary>
    public const int MaximumStringLength = 4096;

    /// <summary>Zeroes that follow the reply to EXPORT_NAME unless NO_ZEROES was agreed.</summary>
    public const int ExportNamePadding = 124;

    public const string BaseAllocation = "base:allocation";

    /// <summary>Stands before the name of a map of states (<see cref="Backends.IStateMaps"/>).</summary>
    public const string StateMapPrefix = "x-farspan:";
}
