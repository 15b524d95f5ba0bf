using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct page_region</c> of linux/fs.h: pages beside each other of the same categories.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PageRun
{
    public ulong Start;
    public ulong End;
    public ulong Categories;
}
