using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Backends;

public sealed class ReadOnlyFileBackendTests : ReadOnlyBackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    protected override ValueTask<IBackend> CreateAsync(byte[] contents)
    {
        File.WriteAllBytes(_directory["a"], contents);
        return new ValueTask<IBackend>(FileBackend.Open(_directory["a"], new FileBackendOptions { ReadOnly = true }));
    }
}
