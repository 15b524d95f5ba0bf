namespace Farspan.Cli.Mounting;

/// <summary>A mount without a file, which is there for the clients of its servers alone. Ending it ends their connections.</summary>
internal sealed class ServedAttachment(MountExports exports) : IAttachment
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Path => exports.Uris[0];

    public Task Completion => _ended.Task;

    public async Task UnmountAsync() => await DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        await exports.DisposeAsync();
        _ended.TrySetResult();
    }
}
