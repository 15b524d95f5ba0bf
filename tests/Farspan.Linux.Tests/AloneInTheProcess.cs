using Xunit;

namespace Farspan.Linux.Tests;

/// <summary>Tests that look at what the whole process has. They run one after the other, when all others are done.</summary>
[CollectionDefinition(nameof(AloneInTheProcess), DisableParallelization = true)]
public sealed class AloneInTheProcess;
