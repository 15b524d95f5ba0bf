using Farspan.Backends;
using Farspan.Nbd.Client;

namespace Farspan.Cli.Inspection;

/// <summary>Finds out what a URI offers, without changing it.</summary>
internal static class Inspector
{
    private const int ExtentsAtOnce = 1024;

    /// <summary>Asks the server, if it is one, and opens the backend.</summary>
    /// <exception cref="BackendException">It cannot be reached or opened.</exception>
    public static async Task<BackendReport> InspectAsync(
        BackendRegistry registry, string uri, bool map, BackendOpenOptions open, CancellationToken cancellationToken)
    {
        var report = new BackendReport(uri);
        var parsed = BackendUri.Parse(uri);
        if (parsed.Scheme.StartsWith("nbd", StringComparison.Ordinal) && registry.Schemes.Contains(parsed.Scheme))
        {
            var options = NbdClientOptions.Parse(parsed, open);
            report = report with { Server = await NbdClient.InspectAsync(options, cancellationToken) };
            // A server whose exports all have names lists them, and there is nothing to open yet.
            if (!report.Server.Exports.Any(export => export.Name == options.ExportName))
                return report;
        }

        // With a size, opening would make what is absent; for reading only it refuses instead.
        if (parsed.Scheme is "file" or "directory" && parsed.Get("size") is not null)
            await (await registry.OpenAsync(WithoutLock(parsed), open with { ReadOnly = true }, cancellationToken)).DisposeAsync();
        await using var backend = await registry.OpenAsync(WithoutLock(parsed), open, cancellationToken);
        var sizes = backend.GetCapability<IBlockSizes>()?.BlockSizes;
        report = report with
        {
            Length = backend.Length,
            ReadOnly = backend.IsReadOnly,
            MinimumBlockSize = sizes?.Minimum,
            PreferredBlockSize = sizes?.Preferred,
            MaximumBlockSize = sizes?.Maximum,
            Capabilities = Capabilities(backend),
        };
        return map ? await WithMapAsync(report, backend, cancellationToken) : report;
    }

    // Looking changes nothing, so that it need not keep a server of the file out, nor be kept out by one.
    private static string WithoutLock(BackendUri uri)
    {
        if (uri.Scheme != "file" || uri.Get("lock") is not null)
            return uri.Text;
        return uri.Text + (uri.Text.Contains('?', StringComparison.Ordinal) ? "&" : "?") + "lock=off";
    }

    private static List<string> Capabilities(IBackend backend)
    {
        var names = new List<string>();
        if (backend.GetCapability<ITrim>() is not null)
            names.Add("trim");
        if (backend.GetCapability<IZero>() is { } zero)
        {
            names.Add("zero");
            if (zero.CanZeroFast)
                names.Add("fast-zero");
        }

        if (backend.GetCapability<IExtentSource>() is not null)
            names.Add("extents");
        if (backend.GetCapability<IConcurrentWriters>() is not null)
            names.Add("concurrent-writers");
        if (backend.GetCapability<ILeasing>() is not null)
            names.Add("leasing");
        return names;
    }

    private static async Task<BackendReport> WithMapAsync(BackendReport report, IBackend backend, CancellationToken cancellationToken)
    {
        var all = new List<Extent>();
        var some = new List<Extent>();
        var source = backend.GetCapability<IExtentSource>();
        for (long at = 0; at < backend.Length;)
        {
            some.Clear();
            if (source is null)
                some.Add(new Extent(at, backend.Length - at, ExtentKind.Data));
            else
                await source.ListExtentsAsync(at, backend.Length - at, ExtentsAtOnce, some, cancellationToken);
            foreach (var extent in some)
                Join(all, extent);
            at = all[^1].Offset + all[^1].Length;
        }

        return report with
        {
            DataBytes = all.Where(extent => !extent.Kind.HasFlag(ExtentKind.Zero)).Sum(extent => extent.Length),
            ZeroBytes = all.Where(extent => extent.Kind.HasFlag(ExtentKind.Zero)).Sum(extent => extent.Length),
            HoleBytes = all.Where(extent => extent.Kind.HasFlag(ExtentKind.Hole)).Sum(extent => extent.Length),
            Map = [.. all.Select(ExtentLine.Of)],
        };
    }

    private static void Join(List<Extent> all, Extent extent)
    {
        if (all.Count > 0 && all[^1].Kind == extent.Kind)
            all[^1] = all[^1] with { Length = all[^1].Length + extent.Length };
        else
            all.Add(extent);
    }
}
