using System.Diagnostics;
using System.Text;
using System.Threading.Channels;
using Farspan.Cli.Mounting;

namespace Farspan.Cli.Demo;

/// <summary>
/// This program, running another verb beside the demo. It is in a session of its own, so that Ctrl-C reaches the demo alone, which ends it in
/// the right order; when the demo dies, the end of its input ends it too.
/// </summary>
internal sealed class DemoChild : IAsyncDisposable
{
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly string _verb;
    private readonly Channel<string> _lines = Channel.CreateBounded<string>(new BoundedChannelOptions(1024) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly StringBuilder _errors = new();
    private readonly Task _reading;

    private DemoChild(Process process, string verb, Action<string>? sees)
    {
        _process = process;
        _verb = verb;
        _reading = Task.WhenAll(Task.Run(() => ReadOutputAsync(sees)), Task.Run(ReadErrorsAsync));
    }

    /// <summary>Starts a verb. <paramref name="sees"/> is told each line of its output, from another thread.</summary>
    public static DemoChild Start(IReadOnlyList<string> arguments, Action<string>? sees = null)
        => new(Process.Start(DetachedChild.ThisProgram(arguments))!, arguments[0], sees);

    /// <summary>The next line of output.</summary>
    /// <exception cref="CommandException">It ended without one.</exception>
    public async Task<string> ReadLineAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _lines.Reader.ReadAsync(cancellationToken);
        }
        catch (ChannelClosedException closed)
        {
            await _reading;
            throw new CommandException($"the demo's '{_verb}' ended early: {Errors}", closed);
        }
    }

    /// <summary>Waits for it to end by itself.</summary>
    /// <exception cref="CommandException">It failed.</exception>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        await _reading;
        if (_process.ExitCode != 0)
            throw new CommandException($"the demo's '{_verb}' failed: {Errors}");
    }

    /// <summary>Tells it to end, as Ctrl-C does, and waits for that.</summary>
    /// <exception cref="CommandException">It failed while it ended.</exception>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _process.StandardInput.Close();
        await WaitAsync(cancellationToken);
    }

    /// <summary>Ends it, if need be by force.</summary>
    public async ValueTask DisposeAsync()
    {
        using (var patience = new CancellationTokenSource(EndPatience))
        {
            try
            {
                await StopAsync(patience.Token);
            }
            catch (CommandException)
            {
                // It ended, which is what matters here.
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
                await _process.WaitForExitAsync(CancellationToken.None);
            }
        }

        _process.Dispose();
    }

    private string Errors
    {
        get
        {
            lock (_errors)
                return _errors.Length == 0 ? $"exit code {_process.ExitCode}" : _errors.ToString().Trim();
        }
    }

    private async Task ReadOutputAsync(Action<string>? sees)
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            sees?.Invoke(line);
            _lines.Writer.TryWrite(line);
        }

        _lines.Writer.Complete();
    }

    private async Task ReadErrorsAsync()
    {
        while (await _process.StandardError.ReadLineAsync() is { } line)
        {
            lock (_errors)
            {
                if (_errors.Length < 4096)
                    _errors.Append(line).Append(' ');
            }
        }
    }
}
