using System.Runtime.ExceptionServices;

namespace MoeSharp;

/// <summary>Work on many items at once whose results keep the order of the items.</summary>
internal static class OrderedParallel
{
    /// <summary>What the function makes of each item. An error of the function is thrown as it is, of several the first by its message.</summary>
    public static TResult[] Select<TItem, TResult>(IReadOnlyList<TItem> items, Func<TItem, TResult> function, CancellationToken cancellation)
    {
        var results = new TResult[items.Count];
        var options = new ParallelOptions { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount };

        try
        {
            Parallel.For(0, items.Count, options, i => results[i] = function(items[i]));
        }
        catch (AggregateException errors)
        {
            ExceptionDispatchInfo.Throw(errors.Flatten().InnerExceptions.MinBy(error => error.Message, StringComparer.Ordinal)!);
        }

        return results;
    }
}
