using Farspan.Backends;
using Farspan.Mounts.Caching;
using Farspan.Stages;

namespace Farspan.Migration;

/// <summary>
/// A region that comes to this host and may move on: its program uses one backend all the while, behind which a leecher is first and, once everything has
/// come, a seeder. Owns the local store. Thread-safe, but for <see cref="SeedAsync"/>, which one caller calls.
/// </summary>
internal sealed class MovedRegion : IAsyncDisposable
{
    private readonly ICacheFiles _files;
    private readonly IBackend _local;
    private readonly SwitchedBackend _current;
    private readonly LockGateStage _face;

    private MovedRegion(ICacheFiles files, IBackend local, Leecher leecher)
    {
        _files = files;
        _local = local;
        Leecher = leecher;
        _current = new SwitchedBackend(leecher.Backend);
        _face = new LockGateStage(_current);
    }

    /// <summary>What brings, or brought, the region here.</summary>
    public Leecher Leecher { get; }

    /// <summary>What lets it move on; null before <see cref="SeedAsync"/>.</summary>
    public Seeder? Seeder { get; private set; }

    /// <summary>What this host is to the region.</summary>
    public RegionRecord Record => Seeder?.Record ?? Leecher.Record;

    /// <summary>The region as its program sees it: see <see cref="Leecher.Backend"/> and <see cref="Seeder.Backend"/>.</summary>
    public IBackend Backend => _face;

    /// <inheritdoc cref="Leecher.OpenAsync"/>
    public static async ValueTask<MovedRegion> OpenAsync(
        ICacheFiles files, IBackend local, ISeeder seeder, ILeecherHost host, LeecherOptions? options = null, CancellationToken cancellationToken = default)
        => new(files, local, await Leecher.OpenAsync(files, new SwitchedBackend(local), seeder, host, options, cancellationToken));

    /// <summary>Makes this host a seeder, once <see cref="Leecher.Completed"/> says that all is here. Calls of the program wait for a moment, and go on.</summary>
    /// <param name="host">Stops and starts the program.</param>
    /// <param name="options">How to work.</param>
    /// <param name="cancellationToken">Gives up waiting for what stands behind the region; nothing has changed then.</param>
    /// <exception cref="InvalidOperationException">Not all is here, or this host is a seeder.</exception>
    /// <exception cref="BackendException">The record cannot be read.</exception>
    public async ValueTask<Seeder> SeedAsync(ISeederHost host, SeederOptions? options = null, CancellationToken cancellationToken = default)
    {
        if (Seeder is not null || Leecher.Completed is not { IsCompletedSuccessfully: true, Result: true })
            throw new InvalidOperationException("A region is seeded once all of it is here.");
        options ??= new SeederOptions();

        // Most of it is carried to the store behind while the program goes on, and the rest while it waits: then there is nothing to compare.
        bool isBehindSame = options.Behind is not null && await TryFlushAsync(cancellationToken);
        using (await _face.LockAsync(cancellationToken: cancellationToken))
        {
            isBehindSame = isBehindSame && await TryFlushAsync(cancellationToken);
            Seeder = await Seeder.OpenAsync(_files, new SwitchedBackend(_local), host, options with { IsBehindSame = isBehindSame });
            _current.Backend = Seeder.Backend;
            await Leecher.DisposeAsync();
        }

        return Seeder;
    }

    /// <summary>Ends what goes on, and closes the local store.</summary>
    public async ValueTask DisposeAsync()
    {
        await Leecher.DisposeAsync();
        if (Seeder is not null)
            await Seeder.DisposeAsync();
        await _face.DisposeAsync();
        await _local.DisposeAsync();
    }

    private async ValueTask<bool> TryFlushAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Leecher.Backend.FlushAsync(cancellationToken);
            return true;
        }
        catch (BackendException)
        {
            return false;
        }
    }
}
