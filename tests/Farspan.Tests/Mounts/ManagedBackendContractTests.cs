using Farspan.Backends;
using Farspan.Mounts;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Mounts;

public sealed class ManagedBackendContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IMemoryLender), typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override async ValueTask<IBackend> CreateAsync(long length) => await ManagedBackend.OpenAsync(new MemoryBackend(length));
}
