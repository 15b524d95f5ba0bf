using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace MovedTodo;

/// <summary>
/// A list of things to do that lives in a mapped file and nowhere else: a header with what is being typed, then an item every 256 bytes. Every key
/// changes it in place, so whoever maps the file next goes on in the middle of a word.
/// </summary>
internal sealed unsafe class TodoList : IDisposable
{
    private const ulong Magic = 0x3130_4F44_4F54_5346;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _start;

    private TodoList(MemoryMappedFile file)
    {
        _file = file;
        _view = file.CreateViewAccessor();
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
    }

    /// <summary>Keys that were typed, on whatever host.</summary>
    public long KeyCount => Head.KeyCount;

    /// <summary>What is being typed.</summary>
    public string Draft => Head.Draft.ToString();

    /// <summary>The items, with whether each is done.</summary>
    public IEnumerable<(string Text, bool IsDone)> Items
    {
        get
        {
            for (int index = 0; index < Head.ItemCount; index++)
                yield return (ItemAt(index).Text.ToString(), ItemAt(index).IsDone != 0);
        }
    }

    private ref Header Head => ref *(Header*)_start;

    private int Room => (int)((_view.Capacity - sizeof(Header)) / sizeof(Item));

    /// <summary>Maps a file. One that is full of zeroes becomes an empty list.</summary>
    /// <exception cref="InvalidDataException">The file is too small, or holds something else.</exception>
    public static TodoList Open(string path)
    {
        if (new FileInfo(path).Length < sizeof(Header) + sizeof(Item))
            throw new InvalidDataException($"{path} has no room for an item; it takes 64KiB or so.");

        // Shared with whoever looks at the file; a lock would be one of this host, and not move.
        var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        var list = new TodoList(MemoryMappedFile.CreateFromFile(stream, mapName: null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false));
        ref Header head = ref list.Head;
        if (head.Magic == 0)
            head.Magic = Magic;
        if (head.Magic == Magic && (uint)head.ItemCount <= (uint)list.Room)
            return list;
        list.Dispose();
        throw new InvalidDataException($"{path} holds no list of things to do.");
    }

    /// <summary>Types a character: a letter, a backspace, or the end of a line, which makes what was typed an item.</summary>
    public void Type(char key)
    {
        Head.KeyCount++;
        if (key is '\n' or '\r')
            Enter();
        else if (key is '\b' or '\x7f')
            Head.Draft.RemoveLast();
        else if (!char.IsControl(key))
            Head.Draft.Append(key);
    }

    /// <summary>Writes all changes back to the file.</summary>
    public void Flush() => _view.Flush();

    /// <inheritdoc/>
    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    private void Enter()
    {
        string draft = Draft;
        if (draft.StartsWith("/done ", StringComparison.Ordinal) && int.TryParse(draft[6..], out int number) && number >= 1 && number <= Head.ItemCount)
            ItemAt(number - 1).IsDone = 1;
        else if (draft.Length == 0 || Head.ItemCount == Room)
            return;
        else
            ItemAt(Head.ItemCount++).Text = Head.Draft;
        Head.Draft = default;
    }

    private ref Item ItemAt(int index) => ref ((Item*)(_start + sizeof(Header)))[index];

    [StructLayout(LayoutKind.Sequential, Size = 512)]
    private struct Header
    {
        public ulong Magic;
        public long KeyCount;
        public int ItemCount;
        public Line Draft;
    }

    [StructLayout(LayoutKind.Sequential, Size = 256)]
    private struct Item
    {
        public int IsDone;
        public Line Text;
    }

    /// <summary>A line of UTF-16, at most 120 characters.</summary>
    private struct Line
    {
        private int _length;
        private Characters _characters;

        public void Append(char character)
        {
            if (_length < Characters.Room)
                _characters[_length++] = character;
        }

        public void RemoveLast() => _length = Math.Max(0, _length - 1);

        public override readonly string ToString() => new(((ReadOnlySpan<char>)_characters)[..Math.Clamp(_length, 0, Characters.Room)]);

        [InlineArray(Room)]
        private struct Characters
        {
            public const int Room = 120;

            private char _first;
        }
    }
}
