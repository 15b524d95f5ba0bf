using Farspan.Mounts.Remotes;
using Xunit;

namespace Farspan.Tests.Mounts.Remotes;

public sealed class ByteBudgetTests
{
    private readonly ByteBudget _budget = new(total: 100, totalWithoutWaiting: 75);

    [Fact(Timeout = 60_000)]
    public Task ThoseWhoDoNotWait_LeaveAPartToThoseWhoDo()
    {
        Assert.True(_budget.TryTake(75));
        Assert.False(_budget.TryTake(1));
        Assert.True(_budget.TakeAsync(25).IsCompletedSuccessfully);
        Assert.Equal(100, _budget.Used);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public async Task ThoseWhoWait_AreServedInTurn_BeforeAnybodyElse()
    {
        Assert.True(_budget.TryTake(75));
        var large = _budget.TakeAsync(60);
        var small = _budget.TakeAsync(10);
        Assert.False(large.IsCompleted || small.IsCompleted);
        Assert.False(_budget.TryTake(1));
        _budget.Return(40);
        await large;
        Assert.False(small.IsCompleted && _budget.Used > 100);
        _budget.Return(35);
        await small;
        Assert.Equal(70, _budget.Used);
    }

    [Fact(Timeout = 60_000)]
    public Task OneThatIsLongerThanAllThereIs_GoesAlone()
    {
        Assert.True(_budget.TryTake(500));
        var next = _budget.TakeAsync(500);
        Assert.False(next.IsCompleted);
        _budget.Return(500);
        return next;
    }
}
