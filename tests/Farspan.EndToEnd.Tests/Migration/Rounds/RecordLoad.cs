using System.Globalization;
using Farspan.TestKit;
using Farspan.TestKit.Crashes;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>A writer of numbered pages, each write of which is noted before and after it, and what every page must have by these notes.</summary>
internal sealed class RecordLoad : RoundLoad
{
    private readonly string _directory;
    private readonly string _mode;
    private readonly Random _random;
    private readonly PageBounds[] _bounds;
    private readonly List<RecordJournal> _journals = [];

    /// <summary>Who wrote a number, and where: each number is given once.</summary>
    private readonly Dictionary<long, (int Page, int Host, long Epoch)> _writes = [];
    private long _acknowledged;
    private int _starts;

    /// <param name="directory">Keeps the journals.</param>
    /// <param name="pages">Of the region.</param>
    /// <param name="mode"><c>pwrite</c> or <c>mmap</c>.</param>
    /// <param name="seed">Of the pages that are written.</param>
    public RecordLoad(string directory, int pages, string mode, int seed)
    {
        (_directory, _mode, _random) = (directory, mode, new Random(seed));
        _bounds = new PageBounds[pages];
    }

    /// <inheritdoc/>
    public override long Acknowledged => _acknowledged + _journals.Sum(static journal => journal.Acknowledged);

    /// <inheritdoc/>
    public override async Task MakeAsync(string store)
    {
        await using var file = File.Create(store);
        byte[] page = new byte[NumberedPage.Length];
        for (int index = 0; index < _bounds.Length; index++)
        {
            page.AsSpan().Clear();
            long number = index % 3 == 0 ? 0 : index;
            if (number != 0)
                new NumberedPage(number, 0, 0).Write(page, index);
            _bounds[index] = new PageBounds(number, number, MayBeTorn: false);
            _writes[number] = (index, 0, 0);
            await file.WriteAsync(page);
        }
    }

    /// <inheritdoc/>
    public override ProcessGroup Start(RoundHost host, long epoch)
    {
        var bounds = Bounds();
        string at = Path.Combine(_directory, $"{++_starts}");
        PageBounds.Save(at + ".bounds", bounds);
        _journals.Add(new RecordJournal(at + ".journal", Number(host), epoch));
        return ProcessGroup.Start(
            TestProgram.Path("Farspan.RecordWriter"), host.Target, at + ".bounds", at + ".journal", $"{Number(host)}", epoch.ToString(CultureInfo.InvariantCulture), _mode,
            _random.Next().ToString(CultureInfo.InvariantCulture));
    }

    /// <inheritdoc/>
    public override void Crashed(RoundHost host)
    {
        foreach (var journal in _journals.Where(journal => journal.Host == Number(host)))
            journal.HasCrashed = true;
    }

    /// <inheritdoc/>
    public override void Departed(RoundHost host, RoundHost to)
    {
        foreach (var journal in _journals.Where(journal => journal.Host == Number(host)))
            journal.Departs();
    }

    /// <inheritdoc/>
    public override async Task CheckAsync(string file)
    {
        var bounds = Bounds();
        byte[] bytes = await File.ReadAllBytesAsync(file);
        for (int index = 0; index < bounds.Length; index++)
        {
            var page = bytes.AsMemory(index * NumberedPage.Length, NumberedPage.Length);
            string? wrong = bounds[index].Judge(page.Span, index);
            if (wrong is null && NumberedPage.TryRead(page.Span, index, out var found) && found.Number != 0 && _writes[found.Number] != (index, found.Host, found.Epoch))
                wrong = $"page {index} has write {found.Number} of host {found.Host}, epoch {found.Epoch}, which nobody wrote there";
            if (wrong is not null)
                throw new RoundFailedException(wrong);
        }

        bounds.CopyTo(_bounds, 0);
        _acknowledged += _journals.Sum(static journal => journal.Acknowledged);
        _journals.Clear();
        foreach (string old in Directory.GetFiles(_directory))
            File.Delete(old);
    }

    /// <inheritdoc/>
    public override bool MayDiffer(ReadOnlySpan<byte> here, int page, long epoch)
        => !NumberedPage.TryRead(here, page, out var found) || found.Epoch >= epoch;

    /// <summary>What each page must have by all that was noted until now.</summary>
    private PageBounds[] Bounds()
    {
        var bounds = (PageBounds[])_bounds.Clone();
        foreach (var journal in _journals)
            journal.Apply(bounds, _writes, isMapped: _mode == "mmap");
        return bounds;
    }

    private static int Number(RoundHost host) => host.Name[0] - 'A' + 1;
}
