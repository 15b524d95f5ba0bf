using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>A list of C strings that ends with a null, as programs get their arguments and their environment.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private byte** _list;

    public NativeStrings(IReadOnlyList<string> texts)
    {
        _list = (byte**)NativeMemory.AllocZeroed((nuint)(texts.Count + 1), (nuint)sizeof(byte*));
        for (int i = 0; i < texts.Count; i++)
            _list[i] = (byte*)Marshal.StringToCoTaskMemUTF8(texts[i]);
    }

    /// <summary>The list; valid until this is disposed.</summary>
    public byte** List => _list;

    public void Dispose()
    {
        if (_list is null)
            return;
        for (int i = 0; _list[i] is not null; i++)
            Marshal.FreeCoTaskMem((nint)_list[i]);
        NativeMemory.Free(_list);
        _list = null;
    }
}
