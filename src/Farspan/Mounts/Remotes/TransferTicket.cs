namespace Farspan.Mounts.Remotes;

/// <summary>One request in flight, as a <see cref="TransferWindow"/> sees it.</summary>
internal readonly record struct TransferTicket(long Bytes, long SentAt, long DeliveredAtSend, long DeliveredTime);
