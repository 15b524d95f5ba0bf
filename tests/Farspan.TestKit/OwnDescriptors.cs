namespace Farspan.TestKit;

/// <summary>What this process has open.</summary>
public static class OwnDescriptors
{
    /// <summary>What each descriptor leads to. One that other threads close meanwhile is left out.</summary>
    public static IReadOnlyList<string> Targets()
    {
        var targets = new List<string>();
        foreach (string descriptor in Directory.GetFiles("/proc/self/fd"))
        {
            try
            {
                if (File.ResolveLinkTarget(descriptor, returnFinalTarget: false) is { } target)
                    targets.Add(target.FullName);
            }
            catch (IOException)
            {
                // Closed since it was listed.
            }
        }

        return targets;
    }
}
