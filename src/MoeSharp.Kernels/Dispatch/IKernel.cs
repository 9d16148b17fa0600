namespace MoeSharp;

/// <summary>What the catalogue knows of a kernel, whatever it computes.</summary>
internal interface IKernel
{
    /// <summary>The name that logs, the tool and MOESHARP_KERNEL use: operation.type.instructions.</summary>
    string Name { get; }

    /// <summary>Whether this processor can run it.</summary>
    bool IsSupported { get; }

    /// <summary>The type of the values that it multiplies.</summary>
    TileType Type { get; }

    /// <summary>The most rows of one tile.</summary>
    int MaxRows { get; }
}
