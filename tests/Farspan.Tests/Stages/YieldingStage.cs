using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Stages;

/// <summary>Makes every call complete asynchronously, on another turn of the scheduler.</summary>
internal sealed class YieldingStage(IBackend inner) : InterceptingStage(inner)
{
    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken) => YieldAsync(call, cancellationToken);

    private async ValueTask YieldAsync(StageCall call, CancellationToken cancellationToken)
    {
        await Task.Yield();
        await call.StartAsync(Below, cancellationToken);
        await Task.Yield();
    }
}
