namespace Farspan.Linux.Userfaults.Agents;

/// <summary>
/// Which ranges of the backend clients have mapped: a range that one writes nobody else has, since none would see what the other one does. Thread-safe.
/// </summary>
internal sealed class RangeClaims
{
    private readonly Lock _gate = new();
    private readonly List<RangeClaim> _claims = [];

    /// <summary>Claims a range; null where another claim stands in its way.</summary>
    public RangeClaim? TryClaim(long offset, long length, bool isWritable)
    {
        var wanted = new RangeClaim(offset, length, isWritable);
        lock (_gate)
        {
            if (_claims.Exists(wanted.Conflicts))
                return null;
            _claims.Add(wanted);
            return wanted;
        }
    }

    public void Release(RangeClaim claim)
    {
        lock (_gate)
            _claims.RemoveAll(other => ReferenceEquals(other, claim));
    }
}
