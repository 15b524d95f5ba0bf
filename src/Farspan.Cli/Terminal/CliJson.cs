using System.Text.Json;
using System.Text.Json.Serialization;
using Farspan.Cli.Copying;
using Farspan.Cli.Doctor;
using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;

namespace Farspan.Cli.Terminal;

/// <summary>Every JSON shape that the program reads or writes, generated when it is built so that start-up pays no reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CopyReport))]
[JsonSerializable(typeof(DoctorReport))]
[JsonSerializable(typeof(MountRecord))]
[JsonSerializable(typeof(MountedFile))]
[JsonSerializable(typeof(ServeEvent))]
[JsonSerializable(typeof(UnmountRequest))]
[JsonSerializable(typeof(UnmountReply))]
internal sealed partial class CliJson : JsonSerializerContext;
