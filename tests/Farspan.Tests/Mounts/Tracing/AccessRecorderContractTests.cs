using Farspan.Backends;
using Farspan.Mounts.Tracing;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Mounts.Tracing;

public sealed class AccessRecorderContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers { get; } =
        [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IConcurrentWriters), typeof(IMemoryLender)];

    protected override ValueTask<IBackend> CreateAsync(long length) => new(new AccessRecorder(new MemoryBackend(length), 4096));
}
