using System.Runtime.InteropServices;

namespace MoeSharp.Kernels.Tests;

/// <summary>A task that fails ends its pass, whoever waits for it.</summary>
public sealed class PassFailureTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);      // it would be for ever

    [Fact]
    public async Task Run_ATaskThatOthersWaitForFails_ThrowsItsErrorToTheCaller()
    {
        using var pool = new WorkerPool(4);
        var tasks = new PassTasks();
        for (int round = 0; round < 50; round++)
        {
            tasks.Clear(2);
            tasks.Add(kind: 0, expert: 0, total: 1, part: 1, counter: 0);       // fails
            tasks.Add(kind: 1, expert: 0, total: 8, part: 1, counter: 1);       // wait for it

            var error = await Assert.ThrowsAsync<InsufficientMemoryException>(() => Run(() => tasks.Run(pool, new FailingSteps(tasks), wakes: true)));

            Assert.Equal("no memory", error.Message);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Run_AForwardPassWhoseWeightsFail_ThrowsItsErrorAndRunsAgain(int threads)
    {
        using var pool = new WorkerPool(threads);
        using var memory = new PassMemory();
        var problem = new ExpertProblem(new ExpertSetup { Tokens = 40, Hidden = 70 });
        using var pinned = new PinnedProblem(problem);
        var source = new FailingPanels(pinned.Matrices);
        var pass = new ForwardPass(source, KernelCatalog.Tile(TileType.Float32), GatedEpilogue.Create(ExpertActivation.Silu, null), WeightTarget.Output);
        for (int expert = 0; expert < problem.Setup.Experts; expert++)
        {
            source.Failing = expert;

            var error = await Assert.ThrowsAsync<InsufficientMemoryException>(() => Run(() => pinned.Run(pass, pool, memory)));

            Assert.Equal($"no memory for expert {expert}", error.Message);
        }

        source.Failing = null;
        pinned.Run(pass, pool, memory);

        Assert.Equal(Lanes.Bits(ExpertPasses.Run(problem, new PassRun())[PassValue.Outputs]), Lanes.Bits(pinned.Sums));
    }

    [Fact]
    public unsafe void BackwardPass_OfTwoTypes_IsRefused()
    {
        var shape = new ExpertShape(8, 8, TileType.BFloat16);
        var matrices = new ExpertMatrices(shape, null, null, null, null, null, null);
        var kernel = KernelCatalog.Tile(TileType.BFloat16);

        var error = Assert.Throws<NotSupportedException>(() => new BackwardPass(matrices, kernel, KernelCatalog.Outer(TileType.Float32), GatedEpilogue.Create(ExpertActivation.Silu, null), WeightTarget.Output));

        Assert.StartsWith("The backward pass computes in one type; the experts are BFloat16, with matmul.bf16.", error.Message, StringComparison.Ordinal);
    }

    private static Task Run(Action pass) => Task.Factory.StartNew(pass, TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(Limit, TestContext.Current.CancellationToken);

    private sealed class FailingSteps(PassTasks tasks) : IPassSteps
    {
        public void Do(in PassTask task, int worker)
        {
            if (task.Kind == 1)
            {
                if (tasks.WaitFor(0)) Assert.Fail("a task that failed was taken for done");
                return;
            }

            Thread.SpinWait(2_000);     // the others are waiting by then
            throw new InsufficientMemoryException("no memory");
        }
    }

    /// <summary>Panels of which one expert's cannot be had.</summary>
    private sealed unsafe class FailingPanels(ExpertMatrices matrices) : PanelSource(matrices.Shape)
    {
        public int? Failing { get; set; }

        public override byte* Panel(int expert, int number, byte* scratch, out PanelPlace place) =>
            expert == Failing && number == 0 ? throw new InsufficientMemoryException($"no memory for expert {expert}") : matrices.Panel(expert, number, scratch, out place);

        public override NextPanel Next(int expert, int number) => matrices.Next(expert, number);

        public override float* Bias(int expert, int number) => matrices.Bias(expert, number);
    }

    /// <summary>The arrays of a problem where they do not move.</summary>
    private sealed unsafe class PinnedProblem : IDisposable
    {
        private readonly List<GCHandle> _handles = [];
        private readonly RoutingPlan _plan;
        private readonly TokenRows _x, _y;

        public PinnedProblem(ExpertProblem problem)
        {
            var shape = new ExpertShape(problem.Setup.Hidden, problem.Setup.Intermediate, TileType.Float32);
            Sums = new float[problem.X.Length];
            _plan = problem.Plan;
            _x = new(Pin(problem.X), problem.Setup.Hidden);
            _y = new(Pin(Sums), problem.Setup.Hidden);
            Matrices = new ExpertMatrices(shape, Pin(problem.Gate), Pin(problem.Up), Pin(problem.Down), Pin(problem.GateBias!), Pin(problem.UpBias!), Pin(problem.DownBias!));
        }

        public float[] Sums { get; }

        public ExpertMatrices Matrices { get; }

        public void Run(ForwardPass pass, WorkerPool pool, PassMemory memory) => pass.Run(pool, memory, _x, _plan, _y);

        public void Dispose()
        {
            foreach (var handle in _handles) handle.Free();
        }

        private float* Pin(float[] values)
        {
            var handle = GCHandle.Alloc(values, GCHandleType.Pinned);
            _handles.Add(handle);
            return (float*)handle.AddrOfPinnedObject();
        }
    }
}
