namespace Farspan.Linux.Tests.Userfaults;

internal enum FaultKind
{
    Read,
    Write,
}
