using System.Text;

namespace Farspan.Linux.Fuse;

/// <summary>One line of <c>/proc/self/mountinfo</c> (see proc_pid_mountinfo(5)), as far as it is used.</summary>
/// <param name="Id">Number of the mount.</param>
/// <param name="ParentId">Number of the mount that it is mounted on.</param>
/// <param name="Device">Major and minor number, as in <c>0:45</c>.</param>
/// <param name="MountPoint">Where it is mounted.</param>
/// <param name="FileSystem">Type, such as <c>fuse.farspan</c>.</param>
/// <param name="Source">What is mounted.</param>
internal sealed record MountInfo(int Id, int ParentId, string Device, string MountPoint, string FileSystem, string Source)
{
    /// <summary>The uppermost mount at exactly <paramref name="path"/>, or null. It asks nothing of the file system mounted there.</summary>
    public static MountInfo? Find(string path)
        => Uppermost(ReadAll(), path);

    /// <summary>Every mount that this process sees.</summary>
    public static List<MountInfo> ReadAll() => Parse(File.ReadLines("/proc/self/mountinfo"));

    public static List<MountInfo> Parse(IEnumerable<string> lines) => [.. lines.Select(TryParse).OfType<MountInfo>()];

    /// <summary>Of the mounts at exactly <paramref name="path"/> the one that nothing is mounted over.</summary>
    public static MountInfo? Uppermost(List<MountInfo> mounts, string path)
    {
        var here = mounts.FindAll(mount => mount.MountPoint == path);
        return here.FindLast(mount => here.TrueForAll(other => other.ParentId != mount.Id || other.Id == mount.Id));
    }

    public static MountInfo? TryParse(string line)
    {
        string[] fields = line.Split(' ');
        int separator = Array.IndexOf(fields, "-", Math.Min(6, fields.Length));
        return separator >= 0 && separator + 2 < fields.Length && int.TryParse(fields[0], out int id) && int.TryParse(fields[1], out int parent)
            ? new MountInfo(id, parent, fields[2], Unescape(fields[4]), fields[separator + 1], Unescape(fields[separator + 2]))
            : null;
    }

    // Space, tab, newline and backslash stand as \ and three octal digits; a byte, not a character.
    private static string Unescape(string text)
    {
        if (!text.Contains('\\', StringComparison.Ordinal))
            return text;
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        int used = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] == '\\' && i + 3 < bytes.Length && IsOctal(bytes[i + 1]) && IsOctal(bytes[i + 2]) && IsOctal(bytes[i + 3]))
            {
                bytes[used++] = (byte)(((bytes[i + 1] - '0') << 6) | ((bytes[i + 2] - '0') << 3) | (bytes[i + 3] - '0'));
                i += 3;
            }
            else
            {
                bytes[used++] = bytes[i];
            }
        }

        return Encoding.UTF8.GetString(bytes, 0, used);
    }

    private static bool IsOctal(byte digit) => digit is >= (byte)'0' and <= (byte)'7';
}
