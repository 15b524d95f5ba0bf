namespace Farspan.Cli.Doctor;

/// <summary>What <c>farspan doctor --json</c> prints.</summary>
/// <param name="Ok">Whether nothing that Farspan itself needs is broken.</param>
/// <param name="Findings">What was tried, in the order of the table.</param>
internal sealed record DoctorReport(bool Ok, IReadOnlyList<Finding> Findings);
