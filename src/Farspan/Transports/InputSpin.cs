using Farspan.Waiting;

namespace Farspan.Transports;

/// <summary>Looks for input a short while before a receive that would wait (docs/decisions/0030). One connection's receiving thread only.</summary>
internal sealed class InputSpin(ByteChannel channel, int processors)
{
    private readonly SpinBudget _budget = new(processors);

    /// <summary>Returns when there is input, or when it is better to wait for it.</summary>
    public void Run()
    {
        if (!_budget.TryBegin())
            return;
        bool hasInput = false;
        for (int looks = 0; looks < SpinBudget.MostLooks && !hasInput; looks++)
            hasInput = channel.HasInput();
        _budget.End(hasInput);
    }
}
