using System.IO.MemoryMappedFiles;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Farspan.TestKit.Fsx;

/// <summary>
/// A file exerciser: random reads and writes, through a descriptor, through a mapping and past the page cache, with msync, fsync, truncation
/// to the same size, holes, closing and opening again, each compared with a model in memory. Run it in a process that does not serve the
/// file: a page fault here waits for the server.
/// </summary>
/// <remarks>The idea is that of the classic fsx of the file system test suites; the operations suit a file whose size is fixed.</remarks>
public sealed class FsxRunner : IDisposable
{
    private const int Page = 4096;
    private const int LogLength = 40;

    private readonly FsxOptions _options;
    private readonly Random _random;
    private readonly byte[] _model;
    private readonly byte[] _scratch;
    private readonly byte[] _aligned;
    private readonly int _alignedStart;
    private readonly Queue<string> _log = new();
    private int _file = -1;
    private int _direct = -1;
    private FileStream? _stream;
    private MemoryMappedFile? _map;
    private MemoryMappedViewAccessor? _view;

    public FsxRunner(FsxOptions options)
    {
        _options = options;
        _random = new Random(options.Seed);
        _model = new byte[new FileInfo(options.Path).Length];
        _scratch = new byte[options.MaximumLength];
        _aligned = GC.AllocateUninitializedArray<byte>(options.MaximumLength + Page, pinned: true);
        nint address = Marshal.UnsafeAddrOfPinnedArrayElement(_aligned, 0);
        _alignedStart = (int)(((address + Page - 1) & ~(nint)(Page - 1)) - address);
    }

    /// <summary>Takes the file as it is for the model, then does all the operations and compares the whole at the end.</summary>
    /// <exception cref="FsxFailedException">The file and the model differ.</exception>
    public void Run()
    {
        if (_model.Length == 0)
            throw new ArgumentException($"{_options.Path} is empty.");
        Open();
        FsxNative.Read(_file, _model, 0);
        for (int i = 0; i < _options.Operations; i++)
            Step(i);
        CompareAll("at the end");
        Reopen();
        CompareAll("after opening it again");
    }

    public void Dispose() => CloseAll();

    private void Step(int index)
    {
        int kind = _random.Next(100);
        switch (kind)
        {
            case < 22:
                Read(index);
                break;
            case < 46:
                Write(index);
                break;
            case < 58 when _options.Map:
                MapRead(index);
                break;
            case < 72 when _options.Map:
                MapWrite(index);
                break;
            case < 77 when _options.Direct:
                DirectRead(index);
                break;
            case < 82 when _options.Direct:
                DirectWrite(index);
                break;
            case < 87 when _options.Punch:
                Punch(index);
                break;
            case < 91:
                Note(index, "fsync");
                FsxNative.Sync(_file);
                break;
            case < 94 when _options.Map:
                Note(index, "msync");
                _view!.Flush();
                break;
            case < 97:
                Truncate(index);
                break;
            case 97:
                Note(index, "close and open");
                Reopen();
                break;
            default:
                Write(index);
                break;
        }
    }

    private void Read(int index)
    {
        var (offset, length) = Range(1);
        Note(index, $"read {length} at {offset}");
        FsxNative.Read(_file, _scratch.AsSpan(0, length), offset);
        Compare("read", offset, _scratch.AsSpan(0, length));
    }

    private void Write(int index)
    {
        var (offset, length) = Range(1);
        Note(index, $"write {length} at {offset}");
        var bytes = Fill(_scratch.AsSpan(0, length), index);
        FsxNative.Write(_file, bytes, offset);
        bytes.CopyTo(_model.AsSpan((int)offset));
    }

    private void MapRead(int index)
    {
        var (offset, length) = Range(1);
        Note(index, $"mapped read {length} at {offset}");
        _view!.SafeMemoryMappedViewHandle.ReadSpan((ulong)offset, _scratch.AsSpan(0, length));
        Compare("mapped read", offset, _scratch.AsSpan(0, length));
    }

    private void MapWrite(int index)
    {
        var (offset, length) = Range(1);
        Note(index, $"mapped write {length} at {offset}");
        var bytes = Fill(_scratch.AsSpan(0, length), index);
        _view!.SafeMemoryMappedViewHandle.WriteSpan<byte>((ulong)offset, bytes);
        bytes.CopyTo(_model.AsSpan((int)offset));
    }

    private void DirectRead(int index)
    {
        var (offset, length) = Range(Page);
        if (length == 0)
            return;
        Note(index, $"direct read {length} at {offset}");
        FsxNative.Read(_direct, Aligned(length), offset);
        Compare("direct read", offset, Aligned(length));
    }

    private void DirectWrite(int index)
    {
        var (offset, length) = Range(Page);
        if (length == 0)
            return;
        // Mapped pages that are dirty are written back first, so that which of the two writes is the later one is certain.
        Note(index, $"direct write {length} at {offset}");
        _view?.Flush();
        FsxNative.Write(_direct, Fill(Aligned(length), index), offset);
        Aligned(length).CopyTo(_model.AsSpan((int)offset));
    }

    private void Punch(int index)
    {
        var (offset, length) = Range(1);
        bool keep = _random.Next(2) == 0;
        _view?.Flush();
        bool done = FsxNative.TryPunch(_file, offset, length, keep);
        Note(index, $"{(keep ? "zero" : "punch")} {length} at {offset}{(done ? "" : " (not offered)")}");
        if (done)
            _model.AsSpan((int)offset, length).Clear();
    }

    private void Truncate(int index)
    {
        Note(index, "truncate to the same size");
        if (!FsxNative.TryTruncate(_file, _model.Length))
            Fail("truncation to the same size was refused");
    }

    private (long Offset, int Length) Range(int unit)
    {
        long offset = _random.NextInt64(_model.Length) / unit * unit;
        // Small, page-sized and large operations all occur often, and so do both ends of the file.
        int limit = _random.Next(4) switch { 0 => 16, 1 => Page, 2 => 16 * Page, _ => _options.MaximumLength };
        if (_random.Next(16) == 0)
            offset = 0;
        int length = Math.Max(unit, _random.Next(1, Math.Min(limit, _options.MaximumLength) + 1) / unit * unit);
        long room = (_model.Length - offset) / unit * unit;
        return (offset, (int)Math.Min(length, room));
    }

    private static Span<byte> Fill(Span<byte> bytes, int index)
    {
        uint state = BitOperations.RotateLeft((uint)index * 2654435761u, 7) | 1;
        for (int i = 0; i < bytes.Length; i++)
        {
            state = state * 1664525 + 1013904223;
            bytes[i] = (byte)(state >> 24);
        }

        return bytes;
    }

    private Span<byte> Aligned(int length) => _aligned.AsSpan(_alignedStart, length);

    private void CompareAll(string when)
    {
        for (long offset = 0; offset < _model.Length; offset += _scratch.Length)
        {
            var part = _scratch.AsSpan(0, (int)Math.Min(_scratch.Length, _model.Length - offset));
            FsxNative.Read(_file, part, offset);
            Compare($"read {when}", offset, part);
        }
    }

    private void Compare(string operation, long offset, ReadOnlySpan<byte> found)
    {
        var expected = _model.AsSpan((int)offset, found.Length);
        int at = expected.CommonPrefixLength(found);
        if (at < found.Length)
            Fail($"{operation} of {found.Length} bytes at {offset}: byte {offset + at} is {found[at]:x2}, the model holds {expected[at]:x2}");
    }

    private void Fail(string what)
        => throw new FsxFailedException($"{what} (seed {_options.Seed}, {_options.Path})\nlast operations:\n{string.Join('\n', _log)}");

    private void Note(int index, string operation)
    {
        if (_log.Count == LogLength)
            _log.Dequeue();
        _log.Enqueue($"  {index}: {operation}");
    }

    private void Reopen()
    {
        CloseAll();
        Open();
    }

    private void Open()
    {
        _file = FsxNative.Open(_options.Path, direct: false);
        if (_options.Direct)
            _direct = FsxNative.Open(_options.Path, direct: true);
        if (!_options.Map)
            return;
        _stream = new FileStream(_options.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        _map = MemoryMappedFile.CreateFromFile(_stream, mapName: null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        _view = _map.CreateViewAccessor(0, _model.Length);
    }

    private void CloseAll()
    {
        _view?.Dispose();
        _map?.Dispose();
        _stream?.Dispose();
        (_view, _map, _stream) = (null, null, null);
        if (_file >= 0)
            FsxNative.Close(_file);
        if (_direct >= 0)
            FsxNative.Close(_direct);
        (_file, _direct) = (-1, -1);
    }
}
