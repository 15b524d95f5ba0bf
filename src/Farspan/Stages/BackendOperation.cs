using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>What a backend is asked to do; combinable where several are meant.</summary>
[Flags]
public enum BackendOperation
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary><see cref="IBackend.ReadAsync"/>.</summary>
    Read = 1,

    /// <summary><see cref="IBackend.WriteAsync"/>.</summary>
    Write = 2,

    /// <summary><see cref="IBackend.FlushAsync"/>.</summary>
    Flush = 4,

    /// <summary><see cref="ITrim.TrimAsync"/>.</summary>
    Trim = 8,

    /// <summary><see cref="IZero.ZeroAsync"/>.</summary>
    Zero = 16,

    /// <summary><see cref="IExtentSource.ListExtentsAsync"/>.</summary>
    ListExtents = 32,

    /// <summary>Those that change bytes.</summary>
    Changes = Write | Trim | Zero,

    /// <summary>All.</summary>
    All = Read | Write | Flush | Trim | Zero | ListExtents,
}
