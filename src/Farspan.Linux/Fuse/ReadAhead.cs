using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Farspan.Linux.Fuse;

/// <summary>How far the kernel reads ahead on a mount. INIT can only lower it below 128 KiB; more is set in <c>/sys</c>.</summary>
internal static class ReadAhead
{
    /// <summary>Sets it as well as may be; what stands in the way is logged.</summary>
    public static void Set(string device, long length, ILogger logger)
    {
        try
        {
            File.WriteAllText($"/sys/class/bdi/{device}/read_ahead_kb", (length >> 10).ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            LogMessages.ReadAheadNotSet(logger, length, error.Message);
        }
    }
}
