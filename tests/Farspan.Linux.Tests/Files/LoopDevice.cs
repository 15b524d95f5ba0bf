using Farspan.TestKit.Peers;

namespace Farspan.Linux.Tests.Files;

/// <summary>A loop device over a new sparse file; detached when disposed.</summary>
internal sealed class LoopDevice : IAsyncDisposable
{
    private LoopDevice(string path) => Path = path;

    public string Path { get; }

    public static async Task<LoopDevice> AttachAsync(string file, long length, bool readOnly = false)
    {
        await using (var created = new FileStream(file, FileMode.CreateNew))
            created.SetLength(length);
        string path = await PeerProcess.RunOkAsync("losetup", ["--find", "--show", .. (string[])(readOnly ? ["--read-only"] : []), file]);
        return new LoopDevice(path.Trim());
    }

    public async ValueTask DisposeAsync() => await PeerProcess.RunOkAsync("losetup", ["--detach", Path]);
}
