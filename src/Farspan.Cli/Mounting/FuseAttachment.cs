using Farspan.Linux.Fuse;

namespace Farspan.Cli.Mounting;

/// <summary>A mount that is a file.</summary>
internal sealed class FuseAttachment(FuseMount mount) : IAttachment
{
    public string Path => mount.Path;

    public Task Completion => mount.Completion;

    public Task UnmountAsync() => mount.UnmountAsync();

    public ValueTask DisposeAsync() => mount.DisposeAsync();
}
