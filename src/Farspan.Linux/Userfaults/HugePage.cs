using System.Runtime.InteropServices;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>The place of one huge page of this process, to be filled and moved away; it is provided anew each time. One user at a time.</summary>
internal sealed unsafe class HugePage : SafeHandle
{
    public const int Length = 2 << 20;

    // Twice as long, so that it holds an aligned one.
    private HugePage(nint mapping)
        : base(invalidHandleValue: -1, ownsHandle: true)
    {
        SetHandle(mapping);
        Start = (byte*)((mapping + Length - 1) & -Length);
    }

    public byte* Start { get; }

    public override bool IsInvalid => handle == -1;

    /// <summary>Takes a place for a page, or null where there is none.</summary>
    public static HugePage? TryCreate()
    {
        nint mapping = Libc.Map(0, 2 * Length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE, -1, 0);
        if (mapping == -1)
            return null;
        var page = new HugePage(mapping);

        // A child process that had it too would keep it from being moved.
        foreach (int advice in (ReadOnlySpan<int>)[Libc.MADV_HUGEPAGE, Libc.MADV_DONTFORK, Libc.MADV_DONTDUMP])
            _ = Libc.Advise((nint)page.Start, Length, advice);
        return page;
    }

    /// <summary>Has the system provide the page; false where it has no huge one.</summary>
    public bool TryProvide()
    {
        // A touch provides the page that it touches, and where that is a huge one, the last small one too.
        byte isLastHere = 0;
        int page = Environment.SystemPageSize;
        *Start = 0;
        return Libc.ListResident((nint)(Start + Length - page), (nuint)page, &isLastHere) == 0 && (isLastHere & 1) != 0;
    }

    protected override bool ReleaseHandle() => Libc.Unmap(handle, 2 * Length) == 0;
}
