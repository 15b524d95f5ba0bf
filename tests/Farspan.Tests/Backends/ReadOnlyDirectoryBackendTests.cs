using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Backends;

public sealed class ReadOnlyDirectoryBackendTests : ReadOnlyBackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    protected override async ValueTask<IBackend> CreateAsync(byte[] contents)
    {
        await using (var backend = DirectoryBackend.Open(_directory["d"], new DirectoryBackendOptions { Length = contents.Length }))
            await backend.WriteAsync(0, contents);
        return DirectoryBackend.Open(_directory["d"], new DirectoryBackendOptions { ReadOnly = true });
    }
}
