namespace Farspan.Cli.Demo;

/// <summary>One step of the demo, as it went.</summary>
/// <param name="Name">What was done.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="FromServer">Bytes that came over the line; null before there was one.</param>
/// <param name="ToServer">Bytes that went over the line.</param>
/// <param name="Result">What came of it.</param>
internal sealed record DemoStep(string Name, double Seconds, long? FromServer, long? ToServer, string Result);
