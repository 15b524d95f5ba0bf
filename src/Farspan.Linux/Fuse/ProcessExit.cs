namespace Farspan.Linux.Fuse;

/// <summary>Takes down the mounts that are left when the process exits; a killed or crashed process leaves that to the next mount.</summary>
internal static class ProcessExit
{
    private static readonly HashSet<FuseMount> s_mounts = [];
    private static bool s_isRegistered;

    public static void Add(FuseMount mount)
    {
        lock (s_mounts)
        {
            if (!s_isRegistered)
            {
                s_isRegistered = true;
                AppDomain.CurrentDomain.ProcessExit += static (_, _) => AbandonAll();
            }

            s_mounts.Add(mount);
        }
    }

    public static void Remove(FuseMount mount)
    {
        lock (s_mounts)
            s_mounts.Remove(mount);
    }

    private static void AbandonAll()
    {
        FuseMount[] mounts;
        lock (s_mounts)
            mounts = [.. s_mounts];
        foreach (var mount in mounts)
            mount.Abandon();
    }
}
