using Farspan.Backends;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Backends;

public sealed class MemoryBackendTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IMemoryLender), typeof(IInPlaceWriter), typeof(IConcurrentWriters)];

    // Two blocks and a piece that is no multiple of a page.
    protected override long Length => (8 << 20) + 12_345;

    protected override ValueTask<IBackend> CreateAsync(long length) => new(new MemoryBackend(length));
}
