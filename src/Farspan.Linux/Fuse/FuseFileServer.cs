using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;
using Microsoft.Extensions.Logging;

namespace Farspan.Linux.Fuse;

/// <summary>
/// Answers the requests of one connection for one backend shown as one file. It holds no descriptor and no thread: requests are handed in,
/// replies go where each came from. Any number of threads may hand in requests at once.
/// </summary>
/// <remarks>
/// Requests whose backend calls complete at once are answered on the calling thread and allocate nothing; the others are answered from
/// their completion.
/// </remarks>
internal sealed unsafe partial class FuseFileServer
{
    private readonly IBackend _backend;
    private readonly FuseFileSettings _settings;
    private readonly Action<FuseRequest> _release;
    private readonly ILogger _logger;
    private readonly FuseFileAttributes _attributes;
    private readonly IMemoryLender? _lender;
    private readonly FuseRanges _ranges;
    private readonly FuseWriteLog _writes;
    private readonly Action<FuseRequest> _whenDone;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly FuseOpenHandles _handles;
    private volatile bool _dropsCacheAtOpen;

    /// <param name="backend">What is shown; not owned.</param>
    /// <param name="settings">How it is shown.</param>
    /// <param name="writes">Told of every write, and asked to flush.</param>
    /// <param name="release">Takes back each request for which <see cref="Handle"/> returned false.</param>
    /// <param name="logger">Told of what no reply can say.</param>
    public FuseFileServer(
        IBackend backend, FuseFileSettings settings, FuseWriteLog writes,
        Action<FuseRequest> release, ILogger logger)
    {
        _backend = backend;
        _settings = settings;
        _writes = writes;
        _release = release;
        _logger = logger;
        _attributes = new FuseFileAttributes(settings, backend.Length);
        _lender = backend.GetCapability<IMemoryLender>();
        _ranges = new FuseRanges(backend);
        _handles = new FuseOpenHandles(settings.UseWritebackCache);
        _whenDone = FinishLater;
    }

    /// <summary>Completes once INIT is answered; fails when the kernel's version cannot be served.</summary>
    public Task Ready => _ready.Task;

    /// <summary>Called for INTERRUPT with the number of the request that nobody may be waiting for any more; false where it is not known.</summary>
    public Func<ulong, bool>? Interrupted { get; init; }

    /// <summary>The openings of the connection; a reply through another one than gave the request finds nothing.</summary>
    public IReadOnlyList<IFuseChannel> Openings { get; init; } = [];

    /// <summary>
    /// Handles the request of <paramref name="length"/> bytes that lies in <paramref name="request"/>. True when it is answered and the caller
    /// keeps the request; false when the release action will be given it later.
    /// </summary>
    public bool Handle(FuseRequest request, int length)
    {
        if (length < sizeof(FuseInHeader) || request.Header.len != (uint)length)
            throw new InvalidDataException($"The FUSE device gave a request of {length} bytes whose header does not fit.");
        request.Begin();
        int bodyLength = length - sizeof(FuseInHeader);
        switch (request.Opcode)
        {
            case FuseOpcode.READ:
                return Read(request, bodyLength);
            case FuseOpcode.WRITE:
                return Write(request, bodyLength);
            case FuseOpcode.FSYNC:
            case FuseOpcode.FSYNCDIR:
                return Start(request, _writes.FlushAsync(request.Cancellation));
            case FuseOpcode.FORGET:
            case FuseOpcode.BATCH_FORGET:
                return true;
            case FuseOpcode.INTERRUPT:
                return bodyLength < sizeof(FuseInterruptIn) || Interrupted?.Invoke(((FuseInterruptIn*)request.Body)->unique) != false
                    || HaveAskedAgain(request);
            case FuseOpcode.INIT:
                return Log(request, Init(request, bodyLength));
            case FuseOpcode.FALLOCATE:
                return Allocate(request, bodyLength);
            case FuseOpcode.LSEEK:
                return Seek(request, bodyLength);
            default:
                return Log(request, Metadata(request, bodyLength));
        }
    }

    private bool Read(FuseRequest request, int bodyLength)
    {
        if (bodyLength < sizeof(FuseReadIn))
            return Refuse(request, Errno.EINVAL);
        var input = *(FuseReadIn*)request.Body;
        if (!IsFile(request))
            return Refuse(request, Errno.EISDIR);
        if (input.offset >= (ulong)_backend.Length)
            return Log(request, request.ReplyPayload(0));
        // A short answer would be filled with zeroes.
        if (input.size > (uint)request.Capacity)
            return Refuse(request, Errno.EIO);
        long offset = (long)input.offset;
        int length = (int)Math.Min(input.size, _backend.Length - offset);
        request.Length = length;
        try
        {
            if (_lender is not null && request.TryReplyLent(_lender, offset, length, out var error))
                return Log(request, error);
            return Start(request, _backend.ReadAsync(offset, request.Memory[..length], request.Cancellation));
        }
        catch (Exception error)
        {
            return Refuse(request, Failure(request, error));
        }
    }

    private bool Write(FuseRequest request, int bodyLength)
    {
        if (bodyLength < sizeof(FuseWriteIn))
            return Refuse(request, Errno.EINVAL);
        var input = *(FuseWriteIn*)request.Body;
        if (input.size > (uint)(bodyLength - sizeof(FuseWriteIn)))
            return Refuse(request, Errno.EINVAL);
        if (!IsFile(request))
            return Refuse(request, Errno.EISDIR);
        if (_settings.IsReadOnly)
            return Refuse(request, Errno.EROFS);
        if (input.offset >= (ulong)_backend.Length)
            return Refuse(request, Errno.ENOSPC);
        int length = (int)Math.Min(input.size, _backend.Length - (long)input.offset);
        request.Length = length;
        request.Result = input.write_flags & FuseProtocol.FUSE_WRITE_CACHE;
        try
        {
            return Start(request, _backend.WriteAsync((long)input.offset, request.Memory[..length], request.Cancellation));
        }
        catch (Exception error)
        {
            return Refuse(request, Failure(request, error));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsFile(FuseRequest request) => request.Header.nodeid == _attributes.FileId;

    private bool Start(FuseRequest request, ValueTask task)
    {
        var awaiter = task.GetAwaiter();
        if (!awaiter.IsCompleted)
        {
            request.Await(awaiter, _whenDone);
            return false;
        }

        try
        {
            awaiter.GetResult();
        }
        catch (Exception error)
        {
            return Refuse(request, Failure(request, error));
        }

        return Log(request, ReplyDone(request));
    }

    private void FinishLater(FuseRequest request)
    {
        try
        {
            Errno failure = Errno.Ok;
            try
            {
                request.GetResult();
            }
            catch (Exception error)
            {
                failure = Failure(request, error);
            }

            Log(request, failure == Errno.Ok ? ReplyDone(request) : request.ReplyError(failure));
        }
        finally
        {
            _release(request);
        }
    }

    private Errno ReplyDone(FuseRequest request)
    {
        switch (request.Opcode)
        {
            case FuseOpcode.READ:
                return request.ReplyPayload(request.Length);
            case FuseOpcode.WRITE:
                _writes.NoteWrite();
                _attributes.NoteWrite();
                return request.ReplyStruct(new FuseWriteOut { size = (uint)request.Length });
            case FuseOpcode.FALLOCATE:
                _writes.NoteWrite();
                _attributes.NoteWrite();
                return request.ReplyError(Errno.Ok);
            case FuseOpcode.LSEEK:
                return request.Result < 0
                    ? request.ReplyError(Errno.ENXIO)
                    : request.ReplyStruct(new FuseLseekOut { offset = (ulong)request.Result });
            default:
                return request.ReplyError(Errno.Ok);
        }
    }

    private Errno Failure(FuseRequest request, Exception error)
    {
        if (request.Opcode == FuseOpcode.WRITE && request.Result == FuseProtocol.FUSE_WRITE_CACHE)
            _writes.NoteLoss(error);

        if (error is OperationCanceledException && request.Cancellation.IsCancellationRequested)
            return Errno.EINTR;
        LogFailed(request.Opcode, error);
        return error switch
        {
            BackendException backend => LinuxError.FromBackendError(backend.Error),
            OutOfMemoryException => Errno.ENOMEM,
            _ => Errno.EIO,
        };
    }

    /// <summary>
    /// Another thread may have received the request that is to be interrupted and not looked at it yet: the kernel asks again, where it is told so
    /// through the opening that gave that request. Which one did is not known yet; the others know of no such request.
    /// </summary>
    private bool HaveAskedAgain(FuseRequest interrupt)
    {
        var sent = interrupt.ReplyError(Errno.EAGAIN);
        for (int i = 0; i < Openings.Count && sent == Errno.ENOENT; i++)
        {
            interrupt.Channel = Openings[i];
            sent = interrupt.ReplyError(Errno.EAGAIN);
        }

        return Log(interrupt, sent);
    }

    private bool Refuse(FuseRequest request, Errno error) => Log(request, request.ReplyError(error));

    private bool Log(FuseRequest request, Errno sent)
    {
        // ENOENT: the request was aborted meanwhile. ENODEV and ECONNABORTED: the connection was. Both are known by other ways.
        if (sent is not (Errno.Ok or Errno.ENOENT or Errno.ENODEV or Errno.ECONNABORTED))
            LogReplyRefused(request.Opcode, sent);
        return true;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The backend failed a {Operation}")]
    private partial void LogFailed(FuseOpcode operation, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "The kernel refused the reply to a {Operation}: {Error}")]
    private partial void LogReplyRefused(FuseOpcode operation, Errno error);
}
