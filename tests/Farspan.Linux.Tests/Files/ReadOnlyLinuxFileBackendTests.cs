using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;

namespace Farspan.Linux.Tests.Files;

public sealed class ReadOnlyLinuxFileBackendTests : ReadOnlyBackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    protected override ValueTask<IBackend> CreateAsync(byte[] contents)
    {
        File.WriteAllBytes(_directory["a"], contents);
        return new ValueTask<IBackend>(LinuxFileBackend.Open(_directory["a"], new FileBackendOptions { ReadOnly = true }));
    }
}
