namespace Farspan.TestKit;

/// <summary>
/// What a test may need beyond the SDK, and whether it is here. Environment variable FARSPAN_REQUIRE_PEERS=1 makes a missing program a
/// failure; devices and privileges are the machine's, and their lack stays a skip.
/// </summary>
public static class Requirement
{
    /// <summary>The first of <paramref name="needs"/> that is missing, as a sentence, or null. A need is <c>root</c>, <c>fuse</c>, <c>loop</c>, <c>cgroup2</c>,
    /// <c>userfault</c>, a feature of it such as <c>userfault:POISON</c>, or a program.</summary>
    public static string? Missing(IEnumerable<string> needs)
    {
        bool programsAreRequired = Environment.GetEnvironmentVariable("FARSPAN_REQUIRE_PEERS") == "1";
        foreach (string need in needs)
        {
            bool here = need switch
            {
                "root" => Environment.IsPrivilegedProcess,
                "fuse" => CanOpen("/dev/fuse"),
                "cgroup2" => Environment.IsPrivilegedProcess && ControlGroup.MountPoint is not null,
                "userfault" => KernelUserfaults.CanUse,
                _ when need.StartsWith("userfault:", StringComparison.Ordinal) => KernelUserfaults.Has(need["userfault:".Length..]),
                "loop" => Environment.IsPrivilegedProcess && CanOpen("/dev/loop-control"),
                _ => programsAreRequired || FindProgram(need) is not null,
            };
            if (!here)
                return $"needs {need}, which is not here";
        }

        return null;
    }

    public static string? FindProgram(string name)
        => $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/sbin".Split(':').Select(d => Path.Combine(d, name)).FirstOrDefault(File.Exists);

    private static bool CanOpen(string device)
    {
        try
        {
            using var file = File.OpenHandle(device, FileMode.Open, FileAccess.ReadWrite);
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
