using Farspan.Waiting;

namespace Farspan.Mounts.Pushing;

/// <summary>Somebody who waits until all writes up to a number are durable at the remote.</summary>
internal sealed record FlushWaiter(long Target, Signal Done);
