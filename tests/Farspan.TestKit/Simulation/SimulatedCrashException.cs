namespace Farspan.TestKit.Simulation;

/// <summary>The process that made the call has been killed: what it still does reaches nothing.</summary>
internal sealed class SimulatedCrashException() : Exception("The simulated process has been killed.");
