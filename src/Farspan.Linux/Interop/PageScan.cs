using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct pm_scan_arg</c> of linux/fs.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PageScan
{
    /// <summary>Bytes of this struct.</summary>
    public ulong Size;
    public ulong Flags;
    public ulong Start;
    public ulong End;

    /// <summary>Where the walk ended.</summary>
    public ulong WalkEnd;

    /// <summary>The address of an array of <see cref="PageRun"/>.</summary>
    public ulong Runs;
    public ulong RunCapacity;
    public ulong MaximumPages;

    /// <summary>Categories that are turned round before they are compared.</summary>
    public ulong Inverted;

    /// <summary>A page has to be in all of these.</summary>
    public ulong All;

    /// <summary>And in one of these, if there are any.</summary>
    public ulong Any;

    /// <summary>What is told of a run.</summary>
    public ulong Told;
}
