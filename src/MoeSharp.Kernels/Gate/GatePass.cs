namespace MoeSharp;

/// <summary>
/// Tokens through a gate: tasks of a few rows and some panels, which a thread fills and multiplies in memory of its own. No task waits for
/// another.
/// </summary>
/// <remarks>Every logit is one chain of multiply-adds: its bits depend neither on the threads, nor on the tokens that share a call.</remarks>
/// <param name="panels">The weight.</param>
/// <param name="kernel">The inner loop of the products.</param>
internal sealed unsafe class GatePass(GatePanels panels, TileKernel kernel) : ISharedWork
{
    private const int RowsPerTask = PanelProduct.RowsTogether;
    private const int TasksPerThread = 2;       // so that the last of them are short

    private float* _tokens, _logits;
    private int _count, _parts, _tasks, _next;
    private ThreadScratch _scratch;

    /// <summary>Computes the logits [T, E] of tokens [T, D].</summary>
    /// <param name="pool">The threads.</param>
    /// <param name="memory">Each thread's rows and tile.</param>
    /// <param name="tokens">The tokens.</param>
    /// <param name="count">Their number T.</param>
    /// <param name="logits">Receives the logits.</param>
    public void Run(WorkerPool pool, PassMemory memory, float* tokens, int count, float* logits)
    {
        _tokens = tokens;
        _logits = logits;
        _count = count;
        int blocks = (count + RowsPerTask - 1) / RowsPerTask;
        _parts = Math.Clamp(TasksPerThread * pool.Threads / Math.Max(blocks, 1), 1, panels.Count);
        (_tasks, _next) = (blocks * _parts, 0);
        _scratch = memory.Scratch(pool.Threads, RowsPerTask * panels.RowStride);      // rows lie where other passes have a panel
        pool.Run(this, PassWork.IsWorthWaking((long)count * panels.Experts * panels.Hidden, panels.Bytes));
    }

    void ISharedWork.Execute(int worker)
    {
        int task;
        while ((task = Interlocked.Increment(ref _next) - 1) < _tasks) Do(task / _parts * RowsPerTask, task % _parts, worker);
    }

    private void Do(int first, int part, int worker)
    {
        int rows = Math.Min(RowsPerTask, _count - first);
        int end = PanelsBefore(part + 1);
        byte* row = _scratch.Panel(worker);
        for (int i = 0; i < rows; i++) panels.FillRow(_tokens + (long)(first + i) * panels.Hidden, (float*)(row + i * panels.RowStride));

        for (int panel = PanelsBefore(part); panel < end; panel++)
        {
            var next = panel + 1 < end ? NextPanel.Of(panels.Panel(panel + 1), panels.Panel(panel + 1) + panels.PanelBytes / 2) : NextPanel.None;
            var place = panel > PanelsBefore(part) && rows > kernel.MaxRows ? PanelPlace.Fetched : PanelPlace.Memory;
            var sink = new LogitSink(_logits + (long)first * panels.Experts, panels.Experts, panel * TileKernel.Columns);
            PanelProduct.Run(kernel, new(row, panels.RowStride, rows), panels.Panel(panel), panels.Depth, place, next, _scratch.Tile(worker), sink);
        }
    }

    private int PanelsBefore(int part) => (int)((long)part * panels.Count / _parts);

    /// <summary>Tiles to the logits, whose rows end where the experts do.</summary>
    private readonly struct LogitSink(float* logits, int experts, int column) : ITileSink
    {
        public void Take(float* tile, int first, int rows)
        {
            float* to = logits + (long)first * experts + column;
            int columns = Math.Min(TileKernel.Columns, experts - column);
            if (columns == TileKernel.Columns)
            {
                TileRows.Store(tile, rows, to, experts);
                return;
            }

            for (int row = 0; row < rows; row++, tile += TileKernel.Columns, to += experts) new ReadOnlySpan<float>(tile, columns).CopyTo(new(to, columns));
        }
    }
}
