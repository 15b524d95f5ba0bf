using System.Diagnostics.Metrics;

namespace Farspan.Mounts;

/// <summary>The instruments of a managed mount, read when somebody collects them.</summary>
internal static class MountMeters
{
    public static void Create(Meter meter, ManagedBackend mount)
    {
        meter.CreateObservableGauge("farspan.mount.local", () => mount.Status.LocalBytes, "By", "Bytes that are local.");
        meter.CreateObservableGauge("farspan.mount.dirty", () => mount.Status.DirtyBytes, "By", "Bytes that are not durable at the remote.");
        meter.CreateObservableCounter("farspan.mount.pulled", () => mount.Status.PulledBytes, "By", "Bytes pulled from the remote.");
        meter.CreateObservableCounter("farspan.mount.pushed", () => mount.Status.PushedBytes, "By", "Bytes pushed to the remote.");
        meter.CreateObservableGauge("farspan.mount.outage", () => mount.Status.Outage is null ? 0 : 1, "{outage}", "Whether the remote does not answer.");
    }
}
