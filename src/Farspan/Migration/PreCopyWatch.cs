using Farspan.Migration.Finalizing;

namespace Farspan.Migration;

/// <summary>Measures a session for the policy that decides when it ends. Not thread-safe.</summary>
internal sealed class PreCopyWatch(TimeProvider clock, long regionBytes)
{
    private const int MostSamples = 256;

    private readonly List<WriteSample> _samples = [];
    private IReadOnlyList<WriteSample>? _told;
    private long _began = clock.GetTimestamp();
    private long _lastRound;
    private long _sentBefore;
    private TimeSpan _roundTrip;

    /// <summary>A session begins.</summary>
    /// <param name="sent">Bytes that came before.</param>
    public void Begin(long sent)
    {
        _began = _lastRound = clock.GetTimestamp();
        _sentBefore = sent;
        _samples.Clear();
        _told = null;
    }

    /// <summary>A call was answered that had nothing to wait for.</summary>
    public void Answered(TimeSpan time) => _roundTrip = _roundTrip == TimeSpan.Zero || time < _roundTrip ? time : _roundTrip;

    /// <summary>A round has come.</summary>
    public void TookRound(long changedBytes)
    {
        long now = clock.GetTimestamp();
        if (_samples.Count == MostSamples)
            _samples.RemoveAt(0);
        _samples.Add(new WriteSample(clock.GetElapsedTime(_began, _lastRound), clock.GetElapsedTime(_lastRound, now), changedBytes));
        _told = null;
        _lastRound = now;
    }

    /// <summary>What a policy is told. It may keep it: the samples in it never change, and are copied once a round.</summary>
    public PreCopyProgress Progress(int rounds, long missing, long sent, double rate) => new(
        clock.GetElapsedTime(_began), rounds, regionBytes, missing, sent - _sentBefore, rate, _roundTrip, _told ??= Array.AsReadOnly(_samples.ToArray()));
}
