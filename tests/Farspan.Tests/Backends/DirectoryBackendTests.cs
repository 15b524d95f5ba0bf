using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Backends;

public sealed class DirectoryBackendTests : BackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private int _created;

    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override bool IsPersistent => true;

    protected override int ModelRuns => 30;

    private string Last => _directory[$"{_created}"];

    public void Dispose() => _directory.Dispose();

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        _created++;

        // Few files for many chunks: what is opened, evicted and deleted meets all the time.
        var options = new DirectoryBackendOptions { Length = length, ChunkLength = 16 << 10, OpenFiles = 5 };
        return new ValueTask<IBackend>(DirectoryBackend.Open(Last, options));
    }

    protected override ValueTask<IBackend> ReopenAsync(long length) => new(DirectoryBackend.Open(Last));
}
