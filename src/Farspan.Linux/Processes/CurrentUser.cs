using Farspan.Linux.Interop;

namespace Farspan.Linux.Processes;

/// <summary>The user that this process acts as.</summary>
public static class CurrentUser
{
    /// <summary>The effective user id.</summary>
    public static uint Id => Libc.EffectiveUserId();
}
