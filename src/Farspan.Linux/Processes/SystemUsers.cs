using System.Globalization;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Processes;

/// <summary>The users that this system knows.</summary>
public static class SystemUsers
{
    private static readonly Lock s_gate = new();

    /// <summary>The id of a user who is given by name or by number; null where there is none of that name.</summary>
    public static unsafe uint? Find(string user)
    {
        ArgumentException.ThrowIfNullOrEmpty(user);
        if (uint.TryParse(user, NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
            return number;
        lock (s_gate)
        {
            byte* entry = Libc.FindUser(user);
            return entry is null ? null : *(uint*)(entry + (2 * sizeof(nint)));
        }
    }
}
