using System.Text;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>The exports of a server by name. Immutable.</summary>
internal sealed class ExportTable
{
    private readonly Dictionary<string, ServedExport> _byName = new(StringComparer.Ordinal);
    private readonly ServedExport[] _all;

    public ExportTable(IEnumerable<NbdExport> exports, int maximumRequestBytes)
    {
        _all = [.. exports.Select(e => new ServedExport(e, maximumRequestBytes))];
        foreach (var export in _all)
        {
            if (!_byName.TryAdd(export.Name, export))
                throw new ArgumentException($"Two exports are named '{export.Name}'; give each its own name.", nameof(exports));
        }
    }

    public ReadOnlySpan<ServedExport> All => _all;

    /// <summary>The export of a name; the empty name is the first export's too, where no export has it.</summary>
    public ServedExport? Find(ReadOnlySpan<byte> name)
    {
        if (!NbdText.IsValid(name))
            return null;
        if (_byName.TryGetValue(Encoding.UTF8.GetString(name), out var export))
            return export;
        return name.Length == 0 && _all.Length > 0 ? _all[0] : null;
    }
}
