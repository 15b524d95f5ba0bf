using Xunit;

namespace Farspan.Tests;

/// <summary>Tests that count what the whole process takes: none runs beside another.</summary>
[CollectionDefinition(nameof(AloneInTheProcess), DisableParallelization = true)]
public sealed class AloneInTheProcess;
