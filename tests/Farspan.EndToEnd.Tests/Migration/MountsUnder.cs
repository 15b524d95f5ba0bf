using Farspan.TestKit.Fuse;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>Takes down the mounts that a test left in its directory when it failed, or killed their processes.</summary>
internal sealed class MountsUnder(string directory) : IAsyncDisposable
{
    public async ValueTask DisposeAsync() => await FuseConnection.AbortAsync(directory);
}
