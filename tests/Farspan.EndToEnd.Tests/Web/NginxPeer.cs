using System.Net;
using System.Net.Sockets;
using Farspan.TestKit;
using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.Web;

/// <summary>A running nginx that serves a directory of its own, over HTTP and, with certificates, over HTTPS.</summary>
internal sealed class NginxPeer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();

    // Bound and not listening: holds the port for nobody else to take. Both ends reuse addresses.
    private readonly Socket _reservation = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private PeerProcess? _process;

    private NginxPeer()
    {
        _reservation.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        _reservation.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    }

    /// <summary>Where it can be reached, such as <c>http://127.0.0.1:1234</c>.</summary>
    public string Address { get; private set; } = "";

    /// <summary>The requests that it has answered, one a line.</summary>
    public string Log => File.ReadAllText(_directory["access.log"]);

    public static async Task<NginxPeer> StartAsync(string? certificates = null, string extra = "")
    {
        var peer = new NginxPeer();
        try
        {
            await peer.LaunchAsync(certificates, extra);
            return peer;
        }
        catch
        {
            await peer.DisposeAsync();
            throw;
        }
    }

    /// <summary>The path of the file that is served under a name.</summary>
    public string PathOf(string name) => Path.Combine(_directory["www"], name);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.SignalAsync("TERM");
            await _process.WaitForExitAsync(TimeSpan.FromSeconds(90));
            await _process.DisposeAsync();
        }

        _reservation.Dispose();
        _directory.Dispose();
    }

    private async Task LaunchAsync(string? certificates, string extra)
    {
        Directory.CreateDirectory(_directory["www"]);
        int port = ((IPEndPoint)_reservation.LocalEndPoint!).Port;
        string tls = certificates is null ? "" : $"ssl_certificate {certificates}/server-cert.pem; ssl_certificate_key {certificates}/server-key.pem;";
        Address = certificates is null ? $"http://127.0.0.1:{port}" : $"https://localhost:{port}";
        await File.WriteAllTextAsync(
            _directory["nginx.conf"],
            $$"""
            {{(Environment.IsPrivilegedProcess ? "user root;" : "")}}
            daemon off;
            pid {{_directory["pid"]}};
            error_log {{_directory["error.log"]}};
            events { }
            http {
                access_log {{_directory["access.log"]}};
                client_body_temp_path {{_directory["t1"]}}; proxy_temp_path {{_directory["t2"]}}; fastcgi_temp_path {{_directory["t3"]}};
                uwsgi_temp_path {{_directory["t4"]}}; scgi_temp_path {{_directory["t5"]}};
                {{extra}}
                server {
                    listen 127.0.0.1:{{port}}{{(certificates is null ? "" : " ssl")}};
                    {{tls}}
                    root {{_directory["www"]}};
                    location /moved/ { return 302 /; }
                    location /secret/ { auth_basic secret; auth_basic_user_file {{_directory["users"]}}; alias {{_directory["www"]}}/; }
                }
            }

            """);
        await File.WriteAllTextAsync(_directory["users"], "me:{PLAIN}secret\n");
        _process = PeerProcess.Start(Requirement.FindProgram("nginx")!, ["-c", _directory["nginx.conf"], "-p", _directory.Path, "-e", _directory["error.log"]]);
        await _process.WaitUntilAsync(_ => Listens(port));
    }

    private static bool Listens(int port)
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            probe.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
