namespace Farspan.Linux.Mounts;

/// <summary>Reads what a program says, so that it never waits for a reader, and keeps the last line.</summary>
internal sealed class ProgramOutput
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly Task _reading;
    private volatile string? _last;

    public ProgramOutput(StreamReader reader) => _reading = ReadAsync(reader);

    /// <summary>The last line that was said, once the program has ended.</summary>
    public async Task<string?> LastLineAsync()
    {
        // A child of the program may still hold the pipe open.
        await Task.WhenAny(_reading, Task.Delay(s_patience));
        return _last;
    }

    private async Task ReadAsync(StreamReader reader)
    {
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                if (line.Length > 0)
                    _last = line;
            }
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException)
        {
            // The program has gone, and with it what it might have said.
        }
    }
}
