using System.Text.Json;

namespace Farspan.Figures;

/// <summary>What is used of fio's JSON output.</summary>
internal readonly record struct FioResult(double OperationsPerSecond, double MebibytesPerSecond, double MeanLatencyMicroseconds, double MedianLatencyMicroseconds)
{
    /// <param name="json">fio's standard output; notes may stand before the first brace.</param>
    /// <param name="direction"><c>read</c> or <c>write</c>.</param>
    public static FioResult Parse(string json, string direction)
    {
        using var document = JsonDocument.Parse(json[json.IndexOf('{', StringComparison.Ordinal)..]);
        var side = document.RootElement.GetProperty("jobs")[0].GetProperty(direction);
        return new(
            side.GetProperty("iops").GetDouble(),
            side.GetProperty("bw_bytes").GetDouble() / (1 << 20),
            side.GetProperty("lat_ns").GetProperty("mean").GetDouble() / 1000,
            side.GetProperty("clat_ns").GetProperty("percentile").GetProperty("50.000000").GetDouble() / 1000);
    }
}
