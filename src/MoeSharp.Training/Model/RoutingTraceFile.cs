using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>The trace of one run of the tool: a file that is new, or may be replaced, and gets its final name however the run ends.</summary>
internal sealed class RoutingTraceFile : IDisposable
{
    private readonly string _path;
    private readonly RoutingTraceWriter _writer;
    private readonly RoutingRecorder _recorder;
    private bool _isBroken;

    private RoutingTraceFile(string path, RoutingTraceWriter writer, DecoderModel model)
    {
        (_path, _writer, _recorder) = (path, writer, new RoutingRecorder(model, writer));
    }

    private string Kept => $"What was recorded is in {_path}{RoutingTraceWriter.PartialSuffix}; free some space, give another file with --trace, or leave it out.";

    /// <summary>Checks that a trace may be written, before work is done for it; <paramref name="advice"/> says how to get past one that exists.</summary>
    /// <exception cref="MoeException">The path is a folder, or a file that must not be replaced.</exception>
    public static void Check(string path, bool force, string advice)
    {
        if (Directory.Exists(path)) throw new MoeException($"{path} is a folder; give a file for the trace.");
        if (AtomicFile.IsDevice(Path.GetFullPath(path))) throw new MoeException($"{path} is a device; a trace is written in pieces and renamed at its end, so give a file.");
        if (File.Exists(path) && !force) throw new MoeException($"The trace {path} exists. {advice}");
    }

    /// <summary>Starts a trace of a model's MoE layers; its folder is made when it is missing.</summary>
    /// <exception cref="MoeException">The model has no MoE layer, or the file cannot be written.</exception>
    public static RoutingTraceFile Create(string path, DecoderModel model, RoutingTraceHeader header)
    {
        if (header.Layers.Count == 0) throw new MoeException($"The model has no Mixture-of-Experts layer, so there is no routing for the trace {path}; leave out --trace.");

        return Guard(path, "Give another file with --trace, or leave it out.", () =>
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
            return new RoutingTraceFile(path, new RoutingTraceWriter(path, header), model);
        });
    }

    /// <inheritdoc cref="RoutingRecorder.Record"/>
    /// <exception cref="MoeException">The file cannot be written.</exception>
    public void Record(long step, Tensor tokens, IEnumerable<RoutingPlan> plans)
    {
        _isBroken = true;       // until all is written
        Guard(_path, Kept, () =>
        {
            _recorder.Record(step, tokens, plans);
            return this;
        });
        _isBroken = false;
    }

    /// <summary>Gives the file its name, unless a record could not be written: then that error says it all, and the whole records stay aside.</summary>
    /// <exception cref="MoeException">The file cannot be written.</exception>
    public void Complete()
    {
        if (_isBroken) return;

        Guard(_path, Kept, () =>
        {
            _writer.Complete();
            return this;
        });
    }

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();

    private static RoutingTraceFile Guard(string path, string advice, Func<RoutingTraceFile> act)
    {
        try
        {
            return act();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeException($"The trace {path} cannot be written: {e.Message.TrimEnd('.')}. {advice}", e);
        }
    }
}
