using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.TestKit;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Backends.Leases;

/// <summary>What a holder who comes back is told: whether others could write since, across restarts of whoever keeps the lease.</summary>
public sealed class LeaseHistoryTests : IDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(30);
    private readonly VirtualTimeProvider _clock = new();
    private readonly TemporaryDirectory _directory = new();
    private readonly Guid _key = Guid.NewGuid();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void SameKey_IsOneHolder_HoweverOftenItComesBack(bool isRestarted)
    {
        var gate = Gate();
        var first = Acquire(gate, _key);
        Assert.Equal(first.Epoch, first.Since);
        gate.Release(first.Session, first.Epoch);
        var second = Acquire(isRestarted ? Gate() : gate, _key);
        Assert.True(second.Epoch > first.Epoch);
        Assert.Equal(first.Epoch, second.Since);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AnotherLeaseBetween_EndsTheRun(bool isRestarted)
    {
        var gate = Gate();
        var first = Acquire(gate, _key);
        gate.Release(first.Session, first.Epoch);
        var other = Acquire(gate, Guid.NewGuid());
        Assert.Equal(other.Epoch, other.Since);
        gate.Release(other.Session, other.Epoch);
        var back = Acquire(isRestarted ? Gate() : gate, _key);
        Assert.Equal(back.Epoch, back.Since);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WriterWithoutALeaseBetween_EndsTheRun(bool isRestarted)
    {
        var gate = Gate();
        var first = Acquire(gate, _key);
        gate.Release(first.Session, first.Epoch);
        Assert.Null(gate.TryEnter(Guid.Empty, 0));
        gate.Exit();
        var back = Acquire(isRestarted ? Gate() : gate, _key);
        Assert.Equal(back.Epoch, back.Since);
    }

    [Fact]
    public void WriterWithoutALease_WhereTheEndOfTheRunCannotBeKept_IsRefused()
    {
        var gate = Gate();
        var first = Acquire(gate, _key);
        gate.Release(first.Session, first.Epoch);
        File.Delete(_directory["lease"]);
        Directory.CreateDirectory(_directory["lease"]);
        Assert.NotNull(gate.TryEnter(Guid.Empty, 0));
    }

    [Fact]
    public void KilledHolder_TakesOverFromItselfAtOnce_AndItsOldSessionIsFenced()
    {
        var gate = Gate();
        var killed = Acquire(gate, _key);
        Assert.Equal(BackendError.Leased, Refusal(gate, Guid.NewGuid()).Error);
        var back = Acquire(gate, _key);
        Assert.True(back.Epoch > killed.Epoch);
        Assert.Equal(killed.Epoch, back.Since);
        Assert.Equal(BackendError.Fenced, gate.TryEnter(killed.Session, killed.Epoch)!.Error);
        Assert.Null(gate.TryEnter(back.Session, back.Epoch));
        gate.Exit();
    }

    [Fact(Timeout = 60_000)]
    public async Task KilledHolder_WaitsForItsOwnLastWrite_AndASecondComebackWaitsForTheFirst()
    {
        var gate = Gate();
        var killed = Acquire(gate, _key);
        Assert.Null(gate.TryEnter(killed.Session, killed.Epoch));
        var back = gate.AcquireAsync(Guid.NewGuid(), _key, "again");
        var again = gate.AcquireAsync(Guid.NewGuid(), _key, "and again");
        Assert.False(back.IsCompleted);
        Assert.Equal(BackendError.Leased, Refusal(gate, Guid.NewGuid()).Error);
        gate.Exit();
        long epoch = (await back).Epoch;
        Assert.True((await again).Epoch > epoch);
        Assert.Equal(killed.Epoch, (await again).Since);
    }

    [Fact]
    public void StoreOfOneProcess_IsNotHeldByAHolderThatDied()
    {
        var died = Acquire(Local(), _key);
        var gate = Local();
        var other = Acquire(gate, Guid.NewGuid());
        Assert.True(other.Epoch > died.Epoch);
        Assert.Equal(other.Epoch, other.Since);
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(BackendError.Leased, Refusal(gate, _key).Error);
    }

    [Fact]
    public void LeaseWithoutAFile_TellsNothingOfBefore()
    {
        var first = Acquire(new LeaseGate(new EpochFile(null, _clock), _clock, Silence, Silence), _key);
        _clock.Advance(TimeSpan.FromSeconds(1));
        var next = Acquire(new LeaseGate(new EpochFile(null, _clock), _clock, Silence, Silence), _key);
        Assert.True(next.Since > first.Epoch);
    }

    private static LeaseRecord Acquire(LeaseGate gate, Guid key)
    {
        var granting = gate.AcquireAsync(Guid.NewGuid(), key, "holder");
        Assert.True(granting.IsCompletedSuccessfully);
        return granting.Result;
    }

    private static BackendException Refusal(LeaseGate gate, Guid key)
        => Assert.IsType<BackendException>(gate.AcquireAsync(Guid.NewGuid(), key, "rival").Exception!.InnerException);

    private LeaseGate Gate() => new(new EpochFile(_directory["lease"], _clock), _clock, Silence, Silence);

    private LeaseGate Local() => LeaseGate.ForOneProcess(new EpochFile(_directory["lease"], _clock), _clock, Silence);
}
