using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class CapacityOptionsTests
{
    [Fact]
    public void SlotsFor_EveryRowOfMegatronCore_IsItsCapacity()
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("router", "capacity.json")));
        var rows = document.RootElement.GetProperty("rows");

        Assert.NotEqual(0, rows.GetArrayLength());
        foreach (var row in rows.EnumerateArray())
        {
            var minimum = row.GetProperty("min_capacity");
            var options = new CapacityOptions
            {
                Factor = row.GetProperty("capacity_factor").GetDouble(),
                MinimumSlots = minimum.ValueKind == JsonValueKind.Null ? 0 : minimum.GetInt32(),
            };

            int slots = options.SlotsFor(row.GetProperty("num_tokens").GetInt32(), topK: 1, row.GetProperty("num_experts").GetInt32());     // its tokens are pairs

            Assert.True(row.GetProperty("capacity").GetInt32() == slots, $"{slots} slots for {row.GetRawText()}");
        }
    }
}
