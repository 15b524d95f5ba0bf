using Farspan.Backends;
using Farspan.Linux.Fuse;

namespace Farspan.Cli.Mounting;

/// <summary>Finds out whether this process can mount, by mounting a little memory and unmounting it.</summary>
internal static class FuseTrial
{
    /// <summary>Why mounting does not work; null where it does.</summary>
    public static async Task<string?> WhyNotAsync(CancellationToken cancellationToken)
    {
        var directory = Directory.CreateTempSubdirectory("farspan-trial-");
        try
        {
            await using var memory = new MemoryBackend(1 << 20);
            await using var mount = await FuseMount.MountAsync(memory, Path.Combine(directory.FullName, "file"), options: null, cancellationToken);
            await mount.UnmountAsync(cancellationToken);
            return null;
        }
        catch (IOException error)
        {
            return error.Message.ReplaceLineEndings(" ").TrimEnd('.');
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
