using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;

namespace Farspan.Linux.Tests.Files;

public sealed class LinuxFileBackendTests : BackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private int _created;

    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IConcurrentWriters)];

    protected override bool IsPersistent => true;

    protected override bool TellsReservedFromHole => false;

    private string Last => _directory[$"{_created}.img"];

    public void Dispose() => _directory.Dispose();

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        _created++;
        return new ValueTask<IBackend>(LinuxFileBackend.Open(Last, new FileBackendOptions { Length = length }));
    }

    protected override ValueTask<IBackend> ReopenAsync(long length) => new(LinuxFileBackend.Open(Last));
}
