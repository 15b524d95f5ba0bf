using Farspan.Backends;
using Xunit;

namespace Farspan.TestKit.Contracts;

/// <summary>What a backend promises that refuses writes, as tests. A test class derives from it and says how to make one.</summary>
public abstract class ReadOnlyBackendContract
{
    private const int TimeLimit = 120_000;

    /// <summary>Offsets and lengths are multiples of this many bytes; a power of two.</summary>
    protected virtual int Alignment => 1;

    /// <summary>A read-only backend that holds <paramref name="contents"/>.</summary>
    protected abstract ValueTask<IBackend> CreateAsync(byte[] contents);

    [Fact(Timeout = TimeLimit)]
    public async Task Created_IsReadOnlyAndReads()
    {
        byte[] contents = BackendModel.Bytes(40, 100_000 / Alignment * Alignment);
        await using var backend = await CreateAsync(contents);
        Assert.True(backend.IsReadOnly);
        Assert.Equal(contents.Length, backend.Length);
        byte[] buffer = new byte[contents.Length];
        await backend.ReadAsync(0, buffer);
        Assert.Equal(contents, buffer);
        await backend.FlushAsync();
        Assert.Throws<ArgumentOutOfRangeException>(() => backend.ReadAsync(contents.Length, buffer).AsTask().GetAwaiter().GetResult());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Changes_AreRefusedAndChangeNothing()
    {
        byte[] contents = BackendModel.Bytes(41, 100_000 / Alignment * Alignment);
        await using var backend = await CreateAsync(contents);
        byte[] data = new byte[Alignment];
        await AssertReadOnlyAsync(() => backend.WriteAsync(0, data));
        if (backend.GetCapability<ITrim>() is { } trim)
            await AssertReadOnlyAsync(() => trim.TrimAsync(0, Alignment));
        if (backend.GetCapability<IZero>() is { } zero)
            await AssertReadOnlyAsync(() => zero.ZeroAsync(0, Alignment));
        byte[] buffer = new byte[contents.Length];
        await backend.ReadAsync(0, buffer);
        Assert.Equal(contents, buffer);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WriteOutside_IsStillMisuse()
    {
        byte[] contents = BackendModel.Bytes(42, Alignment);
        await using var backend = await CreateAsync(contents);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await backend.WriteAsync(Alignment, contents));
    }

    private static async Task AssertReadOnlyAsync(Func<ValueTask> call)
    {
        var error = await Assert.ThrowsAsync<BackendException>(async () => await call());
        Assert.Equal(BackendError.ReadOnly, error.Error);
    }
}
