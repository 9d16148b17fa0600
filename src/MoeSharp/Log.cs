using Microsoft.Extensions.Logging;

namespace MoeSharp;

/// <summary>What the layers have to say to a logger.</summary>
internal static partial class Log
{
    [LoggerMessage(EventId = 1, Level = LogLevel.Debug, Message = "Expert compute of {ExpertCount} experts: backend {Backend} (asked for {Requested})")]
    public static partial void BackendChosen(this ILogger logger, string backend, ExpertBackend requested, int expertCount);
}
