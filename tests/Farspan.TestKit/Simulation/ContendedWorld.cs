using Farspan.TestKit.Time;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// Hosts that contend for one remote with a lease, and a writer without one, on one thread in virtual time, from one seed. Throws when two could
/// write at once, when something of an older epoch was carried out after a newer one was given, when a host takes for true what another has
/// changed, or when what was flushed is lost.
/// </summary>
#pragma warning disable CA1001 // What it holds has nothing to dispose of.
internal sealed class ContendedWorld
#pragma warning restore CA1001
{
    private static readonly TimeSpan Limit = TimeSpan.FromDays(2);

    private readonly Random _random;
    private readonly VirtualTimeProvider _clock;
    private readonly SimulatedLeaseServer _server;
    private readonly SimulatedTruth _truth;
    private readonly List<ContendedHost> _hosts;
    private string? _owner;
    private bool _isEnding;

    private ContendedWorld(int seed, VirtualTimeProvider clock)
    {
        _random = new Random(seed);
        _clock = clock;
        byte[] contents = new byte[_random.Next(4096, 100_000)];
        _random.NextBytes(contents);
        _truth = new SimulatedTruth(contents);
        _server = new SimulatedLeaseServer((byte[])contents.Clone(), clock, _random, TimeSpan.FromSeconds(_random.Next(5, 40))) { Granted = (holder, _) => Grant(holder) };
        _hosts = [.. Enumerable.Range(0, _random.Next(2, 4)).Select(i => new ContendedHost($"host {i}", seed + i, _random, clock, _server, _truth))];
    }

    /// <summary>Runs the world of a seed to its end.</summary>
    /// <returns>A number that stands for all choices made.</returns>
    public static ulong Run(int seed)
    {
        try
        {
            return VirtualTime.RunSeed(seed, Limit, clock => new ContendedWorld(seed, clock).RunAsync());
        }
        catch (Exception error)
        {
            throw new InvalidOperationException($"Seed {seed}: {error.Message}", error);
        }
    }

    private async Task RunAsync()
    {
        var others = new[] { WriteWithoutLeaseAsync(), RestartAsync() };
        await Task.WhenAll(_hosts.Select(LiveAsync));
        _isEnding = true;
        await Task.WhenAll(others);
        foreach (var host in _hosts)
            await host.FinishAsync();
        if (_server.Violations.Count > 0)
            throw new InvalidOperationException(_server.Violations[0]);
        _truth.CheckAtEnd(_server.Durable);
    }

    private async Task LiveAsync(ContendedHost host)
    {
        for (int life = _random.Next(2, 7); life > 0; life--)
        {
            await Task.Delay(_server.LeaseTimeout * _random.NextDouble(), _clock);
            await host.LiveAsync();
        }
    }

    private void Grant(string holder)
    {
        foreach (var host in _hosts)
        {
            if (host.Name == holder)
                host.HasLease();
            else if (_owner != holder)
                host.OthersMayWrite();
        }

        _owner = holder;
    }

    private async Task WriteWithoutLeaseAsync()
    {
        while (!_isEnding)
        {
            await Task.Delay(_server.LeaseTimeout * (3 * _random.NextDouble()), _clock);
            int offset = _random.Next(_server.Length);
            byte[] bytes = new byte[Math.Min(_server.Length - offset, _random.Next(1, 10_000))];
            _random.NextBytes(bytes);
            if (!_server.TryWriteWithoutLease(offset, bytes))
                continue;
            _owner = null;
            _hosts.ForEach(static host => host.OthersMayWrite());
            var step = _truth.Begin(offset, bytes.Length, bytes);
            _truth.End(step, isAcknowledged: true);
            _truth.EndFlush([step]);
        }
    }

    private async Task RestartAsync()
    {
        while (!_isEnding)
        {
            await Task.Delay(_server.LeaseTimeout * (4 * _random.NextDouble()), _clock);
            _server.Restart();
        }
    }
}
