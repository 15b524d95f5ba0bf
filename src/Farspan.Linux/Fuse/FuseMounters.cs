using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>Chooses how this process mounts.</summary>
internal static class FuseMounters
{
    /// <summary>System calls for root, <c>fusermount3</c> for others.</summary>
    public static IFuseMounter ForThisUser() => Libc.EffectiveUserId() == 0 ? new DirectMounter() : new FusermountMounter();
}
