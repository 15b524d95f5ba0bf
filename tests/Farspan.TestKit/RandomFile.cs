namespace Farspan.TestKit;

/// <summary>Files to copy: sparse, with random bytes in places.</summary>
public static class RandomFile
{
    /// <summary>Writes a file of <paramref name="length"/> bytes that is a hole except in <paramref name="places"/>.</summary>
    public static async Task WriteAsync(string path, long length, params (long Offset, int Length)[] places)
    {
        await using var file = File.Create(path);
        file.SetLength(length);
        foreach (var (offset, count) in places)
        {
            byte[] bytes = new byte[count];
            new Random((int)(offset ^ count)).NextBytes(bytes);
            file.Position = offset;
            await file.WriteAsync(bytes);
        }
    }
}
