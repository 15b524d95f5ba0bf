namespace Farspan.Nbd.Tests.Server;

/// <summary>The form of headers that a test negotiates.</summary>
public enum HeaderForm
{
    Simple,
    Structured,
    Extended,
}
