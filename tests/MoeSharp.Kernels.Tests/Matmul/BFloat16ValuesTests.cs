namespace MoeSharp.Kernels.Tests;

public sealed class BFloat16ValuesTests
{
    [Fact]
    public void Round_OfAnyFloat_IsTheNearestWithTiesToEven()
    {
        foreach (float value in AnyFloats().Where(float.IsFinite))
        {
            ushort below = (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16), above = (ushort)(below + 1); // in magnitude
            double toBelow = Math.Abs((double)value - Lanes.FromBFloat16(below)), toAbove = Math.Abs(DoubleOf(above) - value);
            Assert.Equal(toBelow < toAbove || (toBelow == toAbove && below % 2 == 0) ? below : above, BFloat16Values.Round(value));
        }

        // infinity stands where 2^128 would
        static double DoubleOf(ushort bits) => float.IsFinite(Lanes.FromBFloat16(bits)) ? Lanes.FromBFloat16(bits) : Math.CopySign(Math.Pow(2, 128), Lanes.FromBFloat16(bits));
    }

    [Fact]
    public void Round_OfANaN_IsOne() =>
        Assert.All(AnyFloats().Where(float.IsNaN).Append(BitConverter.UInt32BitsToSingle(0x7f800001)), value => Assert.True(float.IsNaN(Lanes.FromBFloat16(BFloat16Values.Round(value)))));

    [Fact]
    public void Round_OfManyValues_IsThatOfEach()
    {
        float[] values = [.. AnyFloats()];
        ushort[] rounded = new ushort[values.Length];

        for (int length = 0; length < 100; length++)
        {
            BFloat16Values.Round(values.AsSpan(length * 1000, length), rounded.AsSpan(0, length));
            Assert.Equal(values.Skip(length * 1000).Take(length).Select(BFloat16Values.Round), rounded.Take(length));
        }
    }

    [Fact]
    public void Widen_OfEveryValue_HasItsBits()
    {
        ushort[] all = [.. Enumerable.Range(0, 1 << 16).Select(bits => (ushort)bits)];
        for (int skipped = 0; skipped < 9; skipped++)
        {
            float[] wide = new float[all.Length - skipped];

            BFloat16Values.Widen(all.AsSpan(skipped), wide);

            Assert.Equal(Enumerable.Range(skipped, wide.Length).Select(bits => (uint)bits << 16), Lanes.Bits(wide));
        }
    }

    // every other one a tie, or exact
    private static IEnumerable<float> AnyFloats()
    {
        var random = new Random(7);
        for (int i = 0; i < 100_000; i++) yield return BitConverter.UInt32BitsToSingle((uint)random.NextInt64(1L << 32) & (i % 2 == 0 ? 0xffffffff : 0xffff8000));
    }
}
