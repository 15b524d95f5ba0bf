using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Backends.Leases;

public sealed class LeasableBackendContractTests : BackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    // Nothing writes in place: that would go around the gate.
    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IMemoryLender), typeof(IConcurrentWriters)];

    protected override ValueTask<IBackend> CreateAsync(long length) => LocalLeasing.OfferAsync(new MemoryBackend(length), _directory["store"]);
}
