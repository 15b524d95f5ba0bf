using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Tests.Client;

/// <summary>What a server holds whose writes are durable only once they were flushed: a crash takes the rest away.</summary>
internal sealed class VolatileStore(int size)
{
    private readonly byte[] _durable = new byte[size];
    private readonly byte[] _current = new byte[size];
    private readonly Lock _lock = new();

    /// <summary>The number of flushes that fail from now on, each of them dropping what was not durable, as kernels do.</summary>
    public int FlushesToFail { get; set; }

    public int Flushes { get; private set; }

    public byte[] Durable
    {
        get
        {
            lock (_lock)
                return (byte[])_durable.Clone();
        }
    }

    public void Crash()
    {
        lock (_lock)
            _durable.CopyTo(_current, 0);
    }

    /// <summary>Carries out a request; returns what it read.</summary>
    public (NbdErrno Error, byte[] Data) Carry(RequestHeader request, byte[] payload)
    {
        lock (_lock)
        {
            var range = request.Command == NbdCommand.Flush ? default : _current.AsSpan((int)request.Offset, (int)request.Length);
            switch (request.Command)
            {
                case NbdCommand.Read:
                    return (NbdErrno.Ok, range.ToArray());
                case NbdCommand.Write:
                    payload.CopyTo(range);
                    break;
                case NbdCommand.WriteZeroes:
                    range.Clear();
                    break;
                case NbdCommand.Flush:
                    Flushes++;
                    if (FlushesToFail > 0)
                    {
                        FlushesToFail--;
                        _durable.CopyTo(_current, 0);
                        return (NbdErrno.Io, []);
                    }

                    _current.CopyTo(_durable, 0);
                    break;
                case NbdCommand.Trim:
                    break;
                default:
                    return (NbdErrno.Inval, []);
            }

            return (NbdErrno.Ok, []);
        }
    }

    /// <summary>Serves one connection until it ends or <paramref name="goesOn"/> says no, which loses the answer to the request just carried out.</summary>
    public async Task ServeAsync(ScriptedConnection connection, ServerScript script, Func<RequestHeader, bool>? goesOn = null)
    {
        await connection.NegotiateAsync(script with { Size = (ulong)_current.Length });
        while (true)
        {
            var (request, payload) = await connection.ReadRequestAsync();
            if (request.Command == NbdCommand.Disconnect)
                return;
            var (error, data) = Carry(request, payload);
            if (goesOn?.Invoke(request) == false)
                return;
            await connection.AnswerAsync(request, data, error);
        }
    }
}
