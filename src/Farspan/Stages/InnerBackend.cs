using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>The backend below a stage and its powers, looked up once.</summary>
internal sealed class InnerBackend(IBackend backend)
{
    public IBackend Backend { get; } = backend;

    public ITrim? Trim { get; } = backend.GetCapability<ITrim>();

    public IZero? Zero { get; } = backend.GetCapability<IZero>();

    public IExtentSource? Extents { get; } = backend.GetCapability<IExtentSource>();

    public IMemoryLender? Lender { get; } = backend.GetCapability<IMemoryLender>();
}
