using Farspan.Backends;
using Farspan.Cli.Mounting;
using Farspan.Linux;
using Farspan.Nbd;

namespace Farspan.Cli;

/// <summary>The backends that the program can open.</summary>
internal static class Registry
{
    /// <summary>A registry of all of them.</summary>
    public static BackendRegistry Create() => new BackendRegistry().AddCoreBackends().AddLinuxBackends().AddNbdBackends().AddMounts();
}
