namespace Farspan.Figures.Policies.Model;

/// <summary>A program that writes chunks of a region, by turns fast and slowly, in virtual time.</summary>
internal sealed class WriterModel(WriterLoad load, int seed)
{
    private readonly Random _random = new(seed);
    private double _phaseEnd = double.NegativeInfinity;
    private bool _busy;
    private double _owed;
    private bool _begun;

    /// <summary>The chunks that are written in a time, which may repeat.</summary>
    /// <param name="from">Seconds since the copy began.</param>
    /// <param name="seconds">For how long, at most a fraction of a phase.</param>
    /// <param name="written">Is told each chunk.</param>
    public void Write(double from, double seconds, Action<int> written)
    {
        while (from >= _phaseEnd)
            Turn(from);
        double noise = 1 + load.Noise * (2 * _random.NextDouble() - 1);
        _owed += (_busy ? load.BusyRate : load.QuietRate) * noise * seconds / MigrationModel.ChunkBytes;
        for (; _owed >= 1; _owed--)
            written(_random.Next(load.HotChunks));
    }

    // The first phase began at any time before the copy did.
    private void Turn(double now)
    {
        if (!_begun)
        {
            double at = _random.NextDouble() * (load.BusySeconds + load.QuietSeconds);
            _busy = at < load.BusySeconds;
            _phaseEnd = now + (_busy ? load.BusySeconds - at : load.BusySeconds + load.QuietSeconds - at);
            _begun = true;
            return;
        }

        _busy = !_busy;
        double mean = _busy ? load.BusySeconds : load.QuietSeconds;
        double length = load.Random ? -mean * Math.Log(1 - _random.NextDouble()) : mean * (1 + load.Jitter * (2 * _random.NextDouble() - 1));
        _phaseEnd += Math.Max(length, 0.01);
    }
}
