using Farspan.Backends;
using Xunit;

namespace Farspan.TestKit.Contracts;

public abstract partial class BackendContract
{
    [Fact(Timeout = TimeLimit)]
    public async Task Powers_AreExactlyThoseStated()
    {
        await using var backend = await CreateAlignedAsync();
        var found = new List<Type>();
        AddPower<ITrim>(backend, found);
        AddPower<IZero>(backend, found);
        AddPower<IExtentSource>(backend, found);
        AddPower<IMemoryLender>(backend, found);
        AddPower<IBlockSizes>(backend, found);
        AddPower<IInPlaceWriter>(backend, found);
        AddPower<IConcurrentWriters>(backend, found);
        Assert.Equal(Powers.Select(p => p.Name).Order(), found.Select(p => p.Name).Order());
        Assert.Null(backend.GetCapability<Version>());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task BlockSizes_AreConsistentAndEnforced()
    {
        await using var backend = await CreateAlignedAsync();
        var sizes = backend.GetCapability<IBlockSizes>()?.BlockSizes ?? BlockSizes.Default;
        Assert.Equal(Alignment, sizes.Minimum);
        Assert.True(int.IsPow2(sizes.Minimum) && sizes.Minimum is >= 1 and <= 65_536);
        Assert.True(int.IsPow2(sizes.Preferred) && sizes.Preferred >= Math.Max(512, sizes.Minimum));
        Assert.True(sizes.Maximum >= sizes.Minimum && sizes.Maximum % sizes.Minimum == 0);
        if (Alignment == 1)
            return;
        var buffer = new byte[Alignment + 1];
        await AssertInvalidAsync(() => backend.ReadAsync(1, buffer.AsMemory(0, Alignment)));
        await AssertInvalidAsync(() => backend.ReadAsync(0, buffer));
        await AssertInvalidAsync(() => backend.WriteAsync(1, buffer.AsMemory(0, Alignment)));
        await AssertInvalidAsync(() => backend.WriteAsync(0, buffer));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Trim_LeavesOldBytesOrZeroes_AndNeighboursAlone()
    {
        await using var backend = await CreateAlignedAsync();
        if (backend.GetCapability<ITrim>() is not { } trim)
            return;
        var model = new BackendModel((int)backend.Length);
        await model.ApplyAsync(backend, new ModelOperation(ModelOperationKind.Write, 0, model.Length, 20));
        foreach (int run in RunLengths)
        {
            var (offset, length) = Align(run, 3 * run, backend.Length);
            await model.ApplyAsync(backend, new ModelOperation(ModelOperationKind.Trim, offset, length, 0));
            await model.CheckAllAsync(backend, Math.Max(Alignment, 65_536));
            await model.ApplyAsync(backend, new ModelOperation(ModelOperationKind.Write, offset, length, run));
            await model.CheckAllAsync(backend, Math.Max(Alignment, 65_536));
        }

        await trim.TrimAsync(0, backend.Length);
        byte[] data = BackendModel.Bytes(21, model.Length);
        await backend.WriteAsync(0, data);
        var buffer = Filled(backend.Length);
        await backend.ReadAsync(0, buffer);
        Assert.Equal(data, buffer);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Trim_ChecksItsRangeTokenAndLife()
    {
        var backend = await CreateAlignedAsync();
        if (backend.GetCapability<ITrim>() is { } trim)
        {
            await CheckRangesAsync(backend, (offset, length) => trim.TrimAsync(offset, length));
            var cancelled = new CancellationToken(canceled: true);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await trim.TrimAsync(0, Alignment, cancelled));
            await backend.DisposeAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await trim.TrimAsync(0, Alignment));
        }

        await backend.DisposeAsync();
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(ZeroMode.None)]
    [InlineData(ZeroMode.KeepAllocated)]
    [InlineData(ZeroMode.FastOnly)]
    [InlineData(ZeroMode.KeepAllocated | ZeroMode.FastOnly)]
    public async Task Zero_ReadsAsZero_AndLeavesNeighboursAlone(ZeroMode mode)
    {
        await using var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IZero>() is not { } zero)
            return;
        byte[] expected = BackendModel.Bytes(22, (int)backend.Length);
        await backend.WriteAsync(0, expected);
        foreach (int run in RunLengths)
        {
            var (offset, length) = Align(run + Alignment, 2 * run, backend.Length);
            if (await TryZeroAsync(zero, offset, length, mode))
                Array.Clear(expected, (int)offset, length);
            var buffer = Filled(backend.Length);
            await backend.ReadAsync(0, buffer);
            Assert.True(expected.AsSpan().SequenceEqual(buffer), $"After zeroing {length} bytes at {offset}.");
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Zero_KeepAllocated_LeavesNoHole()
    {
        await using var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IZero>() is not { } zero || backend.GetCapability<IExtentSource>() is not { } source)
            return;
        await backend.WriteAsync(0, BackendModel.Bytes(23, (int)backend.Length / 2 / Alignment * Alignment));
        await zero.ZeroAsync(0, backend.Length, ZeroMode.KeepAllocated);
        foreach (var extent in await ExtentList.AllAsync(source, 0, backend.Length, 100))
            Assert.False(TellsReservedFromHole && extent.Kind.HasFlag(ExtentKind.Hole), $"{extent} is a hole.");
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Zero_ChecksItsRangeTokenAndLife()
    {
        var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IZero>() is { } zero)
        {
            await CheckRangesAsync(backend, (offset, length) => zero.ZeroAsync(offset, length));
            var cancelled = new CancellationToken(canceled: true);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                async () => await zero.ZeroAsync(0, Alignment, cancellationToken: cancelled));
            await backend.DisposeAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await zero.ZeroAsync(0, Alignment));
        }

        await backend.DisposeAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Extents_CoverEveryRange_AndNeverHideData()
    {
        await using var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IExtentSource>() is not { } source)
            return;
        var model = new BackendModel((int)backend.Length);
        foreach (int run in RunLengths)
        {
            var (offset, length) = Align(3L * run, run, backend.Length);
            await model.ApplyAsync(backend, new ModelOperation(ModelOperationKind.Write, offset, length, run));
            await model.ApplyAsync(backend, new ModelOperation(ModelOperationKind.ListExtents, 0, model.Length, run));
            await model.ApplyAsync(backend, new ModelOperation(ModelOperationKind.ListExtents, offset, length, 0));
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Extents_CheckTheirRangeLimitTokenAndLife()
    {
        var backend = await CreateAlignedAsync();
        if (backend.GetCapability<IExtentSource>() is { } source)
        {
            var extents = new List<Extent>();
            foreach (var (offset, length) in RangesOutside(backend.Length))
                await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await source.ListExtentsAsync(offset, length, 8, extents));
            foreach (int limit in new[] { 0, -1 })
                await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await source.ListExtentsAsync(0, Alignment, limit, extents));
            await source.ListExtentsAsync(0, 0, 1, extents);
            await source.ListExtentsAsync(backend.Length, 0, 1, extents);
            Assert.Empty(extents);
            var cancelled = new CancellationToken(canceled: true);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                async () => await source.ListExtentsAsync(0, Alignment, 1, extents, cancelled));
            await backend.DisposeAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await source.ListExtentsAsync(0, Alignment, 1, extents));
        }

        await backend.DisposeAsync();
    }

    private static void AddPower<TPower>(IBackend backend, List<Type> found)
        where TPower : class
    {
        if (backend.GetCapability<TPower>() is not null)
            found.Add(typeof(TPower));
    }

    private static async Task AssertInvalidAsync(Func<ValueTask> call)
    {
        var error = await Assert.ThrowsAsync<BackendException>(async () => await call());
        Assert.Equal(BackendError.Invalid, error.Error);
    }

    /// <summary>Zeroes; false where <see cref="ZeroMode.FastOnly"/> was refused, which nothing else may be.</summary>
    private static async ValueTask<bool> TryZeroAsync(IZero zero, long offset, long length, ZeroMode mode)
    {
        try
        {
            await zero.ZeroAsync(offset, length, mode);
            Assert.True(zero.CanZeroFast || !mode.HasFlag(ZeroMode.FastOnly), "Zeroed fast where that was said to be impossible.");
            return true;
        }
        catch (BackendException refusal) when (mode.HasFlag(ZeroMode.FastOnly) && refusal.Error == BackendError.NotSupported)
        {
            return false;
        }
    }

    private async Task CheckRangesAsync(IBackend backend, Func<long, long, ValueTask> call)
    {
        byte[] data = BackendModel.Bytes(24, (int)backend.Length);
        await backend.WriteAsync(0, data);
        foreach (var (offset, length) in RangesOutside(backend.Length))
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await call(offset, length));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await call(0, -Alignment));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await call(0, long.MaxValue));
        await call(0, 0);
        await call(backend.Length, 0);
        var buffer = Filled(backend.Length);
        await backend.ReadAsync(0, buffer);
        Assert.True(data.AsSpan().SequenceEqual(buffer), "A refused or empty range changed bytes.");
    }
}
