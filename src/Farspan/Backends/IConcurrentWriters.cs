namespace Farspan.Backends;

/// <summary>
/// Present where several clients may use the backend through separate connections: a flush on one makes durable what completed on any of
/// them, and every read sees it (NBD's CAN_MULTI_CONN).
/// </summary>
public interface IConcurrentWriters;
