using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Text;
using Farspan.TestKit.Crashes;

// usage: Farspan.RecordWriter FILE BOUNDS JOURNAL HOST EPOCH pwrite|mmap SEED. Once FILE is there, writes pages of it at random, each with the next number, and makes them durable by
// fsync or msync, until it is killed or fails. Before each write it looks at what the page has, by BOUNDS. In JOURNAL, with the time:
//   i NUMBER PAGE TIME     a write begins            w NUMBER TIME       it has returned
//   f NUMBER BEGAN TIME    all up to it are durable  b WHAT              a page is not what it must be            e WHAT   an error
const int Hot = 16;
string file = args[0];
var bounds = PageBounds.Load(args[1]);
int host = int.Parse(args[3]);
long epoch = long.Parse(args[4]);
bool isMapped = args[5] == "mmap";
var random = new Random(int.Parse(args[6]));
using var journal = new FileStream(args[2], FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
while (!File.Exists(file) || new FileInfo(file).Length != (long)bounds.Length * NumberedPage.Length)
    Thread.Sleep(5);
try
{
    using var opened = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
    using var map = isMapped ? MemoryMappedFile.CreateFromFile(opened, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true) : null;
    using var view = map?.CreateViewAccessor();
    byte[] page = new byte[NumberedPage.Length];
    for (long number = bounds.Max(page => page.Highest) + 1; ;)
    {
        for (int count = random.Next(1, 9); count > 0; count--, number++)
        {
            int index = random.Next(2) == 0 ? random.Next(bounds.Length) : random.Next(Hot) * (bounds.Length / Hot);
            long offset = (long)index * NumberedPage.Length;
            if (view is null)
                ReadAll(opened, page, offset);
            else
                view.ReadArray(offset, page, 0, page.Length);
            if (bounds[index].Judge(page, index) is { } wrong)
            {
                Note($"b {wrong}");
                return 4;
            }

            Note($"i {number} {index} {Stopwatch.GetTimestamp()}");
            new NumberedPage(number, epoch, host).Write(page, index);
            if (view is null)
                RandomAccess.Write(opened, page, offset);
            else
                view.WriteArray(offset, page, 0, page.Length);
            bounds[index] = new PageBounds(number, number, MayBeTorn: false);
            Note($"w {number} {Stopwatch.GetTimestamp()}");
        }

        long began = Stopwatch.GetTimestamp();
        if (view is null)
            RandomAccess.FlushToDisk(opened);
        else
            view.Flush();
        Note($"f {number - 1} {began} {Stopwatch.GetTimestamp()}");
        Thread.Sleep(random.Next(4));
    }
}
catch (Exception error) when (error is IOException or UnauthorizedAccessException)
{
    Note($"e {error.Message}");
    return 3;
}

static void ReadAll(Microsoft.Win32.SafeHandles.SafeFileHandle file, Span<byte> page, long offset)
{
    if (RandomAccess.Read(file, page, offset) != page.Length)
        throw new IOException("a page is cut");
}

void Note(string line) => journal.Write(Encoding.ASCII.GetBytes(line + "\n"));
