using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Linux.Tests.Files;

/// <summary>The contract with O_DIRECT, with the alignment that the file system under the temporary directory asks for.</summary>
public sealed class DirectLinuxFileBackendTests : BackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private int _created;

    public DirectLinuxFileBackendTests()
    {
        var options = new FileBackendOptions { Length = 1 << 16, Direct = true };
        var (file, facts) = FileOpening.Open(_directory["probe"], options);
        file.Dispose();
        Alignment = facts.DirectAlignment;
    }

    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override int Alignment { get; }

    protected override bool IsPersistent => true;

    protected override bool TellsReservedFromHole => false;

    protected override int ModelRuns => 20;

    private string Last => _directory[$"{_created}.img"];

    public void Dispose() => _directory.Dispose();

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        _created++;
        return new ValueTask<IBackend>(LinuxFileBackend.Open(Last, new FileBackendOptions { Length = length, Direct = true }));
    }

    protected override ValueTask<IBackend> ReopenAsync(long length)
        => new(LinuxFileBackend.Open(Last, new FileBackendOptions { Direct = true }));

    [Fact]
    public void LengthThatIsNoMultiple_IsOneClearError()
    {
        File.WriteAllBytes(_directory["odd"], new byte[1000]);
        var error = Assert.Throws<BackendException>(() => LinuxFileBackend.Open(_directory["odd"], new FileBackendOptions { Direct = true }));
        Assert.Equal(BackendError.Invalid, error.Error);
        Assert.Contains("direct=on", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task Buffers_MayLieAnywhere()
    {
        await using var backend = await CreateAsync(1 << 20);
        byte[] memory = new byte[(1 << 20) + 64];
        byte[] data = BackendModel.Bytes(1, 256 << 10);
        for (int shift = 0; shift < 64; shift += 7)
        {
            data.CopyTo(memory, shift);
            await backend.WriteAsync(0, memory.AsMemory(shift, data.Length));
            Array.Clear(memory);
            await backend.ReadAsync(0, memory.AsMemory(63 - shift, data.Length));
            Assert.True(data.AsSpan().SequenceEqual(memory.AsSpan(63 - shift, data.Length)));
        }
    }
}
