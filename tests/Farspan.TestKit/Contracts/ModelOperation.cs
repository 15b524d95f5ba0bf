namespace Farspan.TestKit.Contracts;

/// <summary>One step of a model run. A kind whose power the backend lacks is done as a read.</summary>
public sealed record ModelOperation(ModelOperationKind Kind, long Offset, int Length, int Seed);
