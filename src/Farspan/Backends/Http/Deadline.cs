namespace Farspan.Backends.Http;

/// <summary>The end of a request by its time or by its caller, whichever is first.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationTokenRegistration _caller;

    public Deadline(BackendOpenOptions options, CancellationToken cancellationToken)
    {
        Source = new CancellationTokenSource(options.Timeout, options.Clock);
        _caller = cancellationToken.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), Source);
    }

    /// <summary>What ends it; its time can be set anew.</summary>
    public CancellationTokenSource Source { get; }

    /// <summary>Tells of the end.</summary>
    public CancellationToken Token => Source.Token;

    public void Dispose()
    {
        _caller.Dispose();
        Source.Dispose();
    }
}
