using Farspan.Backends;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Mounts;

/// <summary>With a cache directory, and opened again.</summary>
public sealed class ManagedBackendDirectoryContractTests : BackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly Dictionary<long, KeptBackend> _remotes = [];
    private int _made;

    public void Dispose() => _directory.Dispose();

    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override bool IsPersistent => true;

    protected override int ModelRuns => 15;

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        _made++;
        _remotes[length] = new KeptBackend(new MemoryBackend(length));
        return ReopenAsync(length);
    }

    protected override async ValueTask<IBackend> ReopenAsync(long length) => await ManagedBackend.OpenAsync(
        _remotes[length],
        new ManagedMountOptions { CacheDirectory = Path.Combine(_directory.Path, $"cache{_made}"), RemoteName = "test", ChunkSize = 16 << 10, Flush = FlushMode.Local });
}
