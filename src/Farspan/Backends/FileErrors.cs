namespace Farspan.Backends;

/// <summary>Turns what .NET's file calls throw into <see cref="BackendException"/>.</summary>
internal static class FileErrors
{
    private const int InUseOnLinux = 11;
    private const int InUseOnWindows = unchecked((int)0x80070020);
    private const int NoSpaceOnLinux = 28;
    private const int QuotaOnLinux = 122;
    private const int DiskFullOnWindows = unchecked((int)0x80070070);

    /// <summary>Whether .NET throws <paramref name="error"/> when a file call fails, as opposed to misuse.</summary>
    public static bool IsFileError(Exception error)
        => error is IOException or UnauthorizedAccessException && error is not BackendException;

    /// <summary>The failure of <paramref name="what"/>.</summary>
    public static BackendException Wrap(Exception error, string what) => new(ErrorOf(error), $"{what}: {error.Message}", error);

    private static BackendError ErrorOf(Exception error) => error switch
    {
        UnauthorizedAccessException or { HResult: InUseOnLinux or InUseOnWindows } => BackendError.AccessDenied,
        FileNotFoundException or DirectoryNotFoundException => BackendError.NotFound,
        { HResult: NoSpaceOnLinux or QuotaOnLinux or DiskFullOnWindows } => BackendError.NoSpace,
        _ => BackendError.InputOutput,
    };
}
